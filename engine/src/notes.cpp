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

std::string text_of_note(const Core &core, const Call &call, const std::string &team, const std::string &note)
{
    std::string out;
    try {
        core.store->read_note(call, team, note, [&](std::string_view piece) {
            out += piece;
            return out.size() < largest_note;
        });
    } catch (const Error &e) {
        if (is_over(call, e)) throw;
        out.clear();
    }
    return out;
}

}  // namespace litbuild::detail
