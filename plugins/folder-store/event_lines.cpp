#include <folder-store/event_lines.hpp>

namespace litbuild::folder {

namespace {

constexpr size_t longest_line = 1024 * 1024;

}  // namespace

std::optional<Record> parse_record(std::string_view line)
{
    auto members = parse_object(line);
    if (!members) return std::nullopt;
    const auto at = fields::state(*members, "state");
    std::string type = fields::text(*members, "type");
    if (!at || type.empty()) return std::nullopt;
    const Timestamp when = fields::time(*members, "time");
    return Record{*at, when, std::move(type), std::move(*members)};
}

bool Lines::feed(std::string_view piece, const Sink &each)
{
    while (!piece.empty()) {
        const size_t end = piece.find('\n');
        const std::string_view part = piece.substr(0, end);
        if (end == piece.npos) {
            offset_ += part.size();
            too_long_ = too_long_ || begun_.size() + part.size() > longest_line;
            if (too_long_)
                begun_.clear();
            else
                begun_ += part;
            return true;
        }
        offset_ += part.size() + 1;
        piece.remove_prefix(part.size() + 1);
        const bool skip = too_long_ || begun_.size() + part.size() > longest_line;
        too_long_ = false;
        bool more = true;
        if (!skip && begun_.empty()) {
            more = each(part, offset_);
        } else if (!skip) {
            begun_ += part;
            more = each(begun_, offset_);
        }
        begun_.clear();
        if (!more) return false;
    }
    return true;
}

}  // namespace litbuild::folder
