#include <folder-store/tree_cursor.hpp>

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <folder-store/posix_dir.hpp>

namespace litbuild::folder {

using linux_::Descriptor;

TreeCursor::TreeCursor(Descriptor top) : dir_(std::move(top))
{
    bool mounted = false;
    error_ = identify(dir_.get(), here_, mounted);
}

int TreeCursor::identify(int fd, Identity &identity, bool &mounted) noexcept
{
    struct statx found{};
    if (::statx(fd, "", AT_EMPTY_PATH, STATX_INO, &found) != 0) return errno;
    identity = {::makedev(found.stx_dev_major, found.stx_dev_minor), found.stx_ino};
    mounted = (found.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
    return 0;
}

std::string TreeCursor::where() const
{
    std::string text;
    for (const Above &above : above_) text += (text.empty() ? "" : "/") + above.name;
    return text;
}

int TreeCursor::enter(const std::string &name)
{
    Descriptor below(::openat(dir_.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!below) return errno;
    Identity identity;
    bool mounted = false;
    if (const int error = identify(below.get(), identity, mounted); error != 0) return error;
    // An old kernel does not tell mounts, but another device is seen.
    if (mounted || identity.device != here_.device) return EXDEV;
    above_.push_back({here_, name});
    here_ = identity;
    dir_ = std::move(below);
    return 0;
}

int TreeCursor::leave()
{
    Descriptor parent(::openat(dir_.get(), "..", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!parent) return errno;
    Identity identity;
    bool mounted = false;
    if (const int error = identify(parent.get(), identity, mounted); error != 0) return error;
    if (identity != above_.back().identity) return ESTALE;
    here_ = identity;
    dir_ = std::move(parent);
    above_.pop_back();
    return 0;
}

int sorted_names(int dir, std::vector<std::string> &names)
{
    names.clear();
    const int error = read_names(dir, [&](std::string_view name, Kind) {
        names.emplace_back(name);
        return true;
    });
    std::sort(names.begin(), names.end());
    return error;
}

int sorted_names(const TreeCursor &at, std::vector<std::string> &names)
{
    const int error = sorted_names(at.dir(), names);
    if (at.depth() == 0) std::erase(names, passing_file);
    return error;
}

}  // namespace litbuild::folder
