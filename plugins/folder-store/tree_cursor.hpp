// A place in a tree of folders, by descriptor.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include <litbuild/linux/descriptor.hpp>

namespace litbuild::folder {

/// Goes down and up. Holds one descriptor however deep it is, and no path: the way up is "..", which has to be the folder
/// that it came from. A folder that is swapped for something else meanwhile leads nowhere else.
class TreeCursor {
public:
    /// `top`: a folder, open for reading.
    explicit TreeCursor(linux_::Descriptor top);
    /// 0, or the errno of the beginning; then it leads nowhere.
    int error() const noexcept { return error_; }

    /// The folder it is in, open for reading.
    int dir() const noexcept { return dir_.get(); }
    /// Levels below the top.
    size_t depth() const noexcept { return above_.size(); }
    /// "a/b/c", as errors name it; "" at the top.
    std::string where() const;

    /// Into a folder of the folder. 0, or an errno: ENOTDIR or ELOOP: it is no folder, EXDEV: something is mounted there.
    int enter(const std::string &name);
    /// Back. 0, or an errno: ESTALE: the folder was moved meanwhile.
    int leave();

private:
    struct Identity {
        uint64_t device = 0, inode = 0;
        bool operator==(const Identity &) const = default;
    };
    struct Above {
        Identity identity;
        std::string name;   // of the folder below it that it went into
    };
    static int identify(int fd, Identity &identity, bool &mounted) noexcept;

    linux_::Descriptor dir_;
    Identity here_;
    int error_ = 0;
    std::vector<Above> above_;
};

/// The names in a folder but "." and "..", in order.
int sorted_names(int dir, std::vector<std::string> &names);

/// The lock of a build's tags on a file server, which is no part of the build: it is held while the build is copied.
inline constexpr std::string_view passing_file = ".tags.lease";
/// Those that belong to the tree.
int sorted_names(const TreeCursor &at, std::vector<std::string> &names);

}  // namespace litbuild::folder
