#include "notes.hpp"

namespace litbuild::detail {

namespace {

// More is no work of ours.
constexpr size_t largest_note = 256 * 1024 * 1024;

}  // namespace

bool is_over(const Call &call, const Error &error)
{
    return error.code() == Code::cancelled || (error.code() == Code::timeout && call.expired());
}

bool read_note(const Core &core, const Call &call, const std::string &team, const std::string &note, const TextSink &sink)
{
    size_t left = largest_note;
    try {
        core.store->read_note(call, team, note, [&](std::string_view piece) {
            left -= std::min(left, piece.size());
            return left > 0 && sink(piece);
        });
    } catch (const Error &e) {
        if (is_over(call, e)) throw;
        return false;
    }
    return left > 0;
}

std::string text_of_note(const Core &core, const Call &call, const std::string &team, const std::string &note)
{
    std::string out;
    const auto take = [&](std::string_view piece) {
        out += piece;
        return true;
    };
    return read_note(core, call, team, note, take) ? out : "";
}

}  // namespace litbuild::detail
