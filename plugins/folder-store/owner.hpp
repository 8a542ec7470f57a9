// Who is at work on something that lies on disk, and whether it still is.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <boost/json.hpp>

namespace litbuild::folder {

/// A process, by identity. Plain data.
struct Owner {
    std::string host;
    std::string machine;  ///< /etc/machine-id; empty: it has none
    std::string boot;     ///< boot id of its kernel
    std::string space;    ///< its pid namespace: a pid means nothing in another one
    int64_t pid = 0;
    int64_t start = 0;    ///< clock ticks since boot

    /// This process.
    static Owner self();
    boost::json::object to_json() const;
    /// None: not an owner.
    static std::optional<Owner> from_json(const boost::json::object &members);
    /// "pid 17 on host7"
    std::string text() const;
};

/// `gone`: also one of a boot before this one, of the same machine by name and machine id; a name alone, other hosts may have.
/// `unknown`: it is of another host or pid namespace, which cannot be seen from here.
enum class Owning { alive, gone, unknown };

Owning look_for(const Owner &owner);

/// Short, fit for a file name: "BOOT-SPACE-PID-START" in hexadecimal.
std::string mark(const Owner &owner);
/// Of this process. Costs nothing after the first time.
const std::string &own_mark();
/// What the name of a file in the making starts with; its maker's mark follows.
inline constexpr std::string_view temporary_start = ".tmp-";
/// ".tmp-MARK-NOISE", which nobody else takes. Dotted, so that no reader takes it for a build or an artifact; and it tells
/// whose it is.
std::string temporary_name();
/// What the maker of a file with such a mark in its name is; `unknown`: also where there is no mark.
Owning look_for_mark(std::string_view mark);

}  // namespace litbuild::folder
