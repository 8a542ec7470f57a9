#include <folder-store/journal.hpp>

#include <charconv>
#include <iterator>

#include <litbuild/names.hpp>

#include <folder-store/fields.hpp>

namespace litbuild::folder {

namespace {

constexpr const char *phases[] = {"copy", "commit", "clear"};

const char *name(Place place) noexcept { return place == Place::live ? "live" : "archive"; }

}  // namespace

std::string to_text(const Journal &journal)
{
    boost::json::object members = {
        {"op", journal.op},
        {"runid", journal.runid},
        {"uuid", journal.uuid},
        {"from", name(journal.to == Place::live ? Place::archive : Place::live)},
        {"to", name(journal.to)},
        {"phase", phases[static_cast<size_t>(journal.phase)]},
        {"copy", std::to_string(journal.copy)},
        {"time", journal.time},
        {"owner", journal.owner.to_json()},
    };
    return boost::json::serialize(members) + "\n";
}

std::optional<Journal> parse_journal(std::string_view op, std::string_view text)
{
    const auto members = parse_object(text);
    if (!members || fields::text(*members, "op") != op) return std::nullopt;
    const boost::json::object *who = fields::below(*members, "owner");
    const std::optional<Owner> owner = who ? Owner::from_json(*who) : std::nullopt;
    const std::string to = fields::text(*members, "to");
    const std::string phase = fields::text(*members, "phase");
    Journal journal;
    journal.op = op;
    journal.runid = fields::integer(*members, "runid").value_or(0);
    if (!owner || journal.runid != runid_of_op(op) || (to != "live" && to != "archive")) return std::nullopt;
    journal.owner = *owner;
    journal.to = to == "live" ? Place::live : Place::archive;
    bool known = false;
    for (size_t i = 0; i < std::size(phases); ++i) {
        if (phase != phases[i]) continue;
        journal.phase = static_cast<Phase>(i);
        known = true;
    }
    if (!known) return std::nullopt;
    journal.uuid = fields::text(*members, "uuid");
    journal.time = fields::text(*members, "time");
    const std::string copy = fields::text(*members, "copy");
    const auto [end, error] = std::from_chars(copy.data(), copy.data() + copy.size(), journal.copy);
    if (error != std::errc{} || end != copy.data() + copy.size()) return std::nullopt;
    return journal;
}

int64_t runid_of_op(std::string_view op) noexcept
{
    const size_t dash = op.find('-');
    if (dash == op.npos || dash + 1 == op.size()) return 0;
    return parse_runid(op.substr(0, dash)).value_or(0);
}

}  // namespace litbuild::folder
