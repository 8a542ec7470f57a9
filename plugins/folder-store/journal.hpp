// The record of a build's way to another file system: TEAM/logs/.ops/OP.json.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <folder-store/owner.hpp>
#include <folder-store/place.hpp>

namespace litbuild::folder {

/// How far it is. Each is on the disk before anything is done that belongs to it.
enum class Phase {
    copy,     ///< `.mv-OP` grows in the destination's folder; the source is whole
    commit,   ///< `.mv-OP` is whole and on the disk; it gets its name, then the source becomes `.trash-OP`
    clear,    ///< both have happened; `.trash-OP` goes away
};

struct Journal {
    std::string op;       ///< "19-5f3a90c2d1e4b687": the run id and what makes it unique
    int64_t runid = 0;
    std::string uuid;     ///< of the build; empty: it has none
    Place to = Place::archive;
    Phase phase = Phase::copy;
    uint64_t copy = 0;    ///< inode of the copy, from Phase::commit on
    Owner owner;
    std::string time;     ///< when it began, RFC 3339
};

std::string to_text(const Journal &journal);
/// None: it is damaged.
std::optional<Journal> parse_journal(std::string_view op, std::string_view text);

/// The run id that the name of an operation starts with; 0: it is none.
int64_t runid_of_op(std::string_view op) noexcept;

}  // namespace litbuild::folder
