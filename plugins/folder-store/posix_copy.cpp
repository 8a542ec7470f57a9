#include <folder-store/posix_copy.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <folder-store/posix_attributes.hpp>
#include <folder-store/posix_content.hpp>
#include <folder-store/posix_dir.hpp>
#include <folder-store/tree_cursor.hpp>

namespace litbuild::folder {

using linux_::Descriptor;

namespace {

// So many things are synced one by one, before the whole file system is: it may hold much that is not ours.
constexpr int few = 64;

// Whether syncfs() waits for all, and tells what went wrong: since Linux 5.8, and not on what asks a server.
bool syncs_as_a_whole(int fd) noexcept
{
    struct statfs found;
    utsname names{};
    int major = 0, minor = 0;
    if (::fstatfs(fd, &found) != 0 || ::uname(&names) != 0) return false;
    if (std::sscanf(names.release, "%d.%d", &major, &minor) != 2 || major < 5 || (major == 5 && minor < 8)) return false;
    constexpr long xfs = 0x58465342, f2fs = 0xf2f52010;
    const auto kind = static_cast<long>(found.f_type);
    return kind == EXT4_SUPER_MAGIC || kind == xfs || kind == BTRFS_SUPER_MAGIC || kind == f2fs ||
           kind == TMPFS_MAGIC;
}

class TreeCopy {
public:
    TreeCopy(const Call &call, Descriptor from, Descriptor to, Descriptor links, const std::string &object,
             const Told &told)
        : call_(call), object_(object), told_(told), from_(std::move(from)), to_(std::move(to)),
          links_(std::move(links)), can_sync_all_(syncs_as_a_whole(to_.dir()))
    {
    }

    TreeFault run()
    {
        if (from_.error() != 0) failed(from_.error(), "", "copy it");
        if (to_.error() != 0) failed_in_copy(to_.error(), "", "copy it");
        if (fault_.number != 0) return fault_;
        begun_.reset(::fcntl(to_.dir(), F_DUPFD_CLOEXEC, 0));
        if (!begun_) failed_in_copy(errno, "", "copy it");
        if (!begun_ || !begin(Old::maybe)) return fault_;
        for (;;) {
            call_.check(object_);
            Level &level = levels_.back();
            if (level.next < level.names.size()) {
                if (!item(level.names[level.next++])) return fault_;
                continue;
            }
            if (!finish()) return fault_;
            if (levels_.size() == 1) break;
            levels_.pop_back();
            if (const int error = from_.leave(); error != 0) return failed(error, "", "copy it"), fault_;
            if (const int error = to_.leave(); error != 0) return failed_in_copy(error, "", "copy it"), fault_;
        }
        if (late_ && ::syncfs(begun_.get()) != 0) failed_in_copy(errno, "", "write it to the disk");
        return fault_;
    }

private:
    enum class Old { none, maybe };   // whether an earlier copy may have left something
    struct Level {
        std::vector<std::string> names;
        size_t next = 0;
        struct stat attributes {};
    };

    // Of both, where either may be meant: that is before the sync, and what was not copied to its end is copied again.
    bool failed(int number, const std::string &name, const char *action)
    {
        fault_.number = number;
        fault_.where = from_.where();
        if (!fault_.where.empty() && !name.empty()) fault_.where += '/';
        fault_.where += name;
        fault_.action = action;
        return false;
    }
    bool failed_in_copy(int number, const std::string &name, const char *action)
    {
        fault_.in_copy = true;
        return failed(number, name, action);
    }

    // Both cursors are in the folder that begins.
    bool begin(Old old)
    {
        Level level;
        if (::fstat(from_.dir(), &level.attributes) != 0) return failed(errno, "", "copy it");
        if (const int error = sorted_names(from_, level.names); error != 0) return failed(error, "", "copy it");
        if (old == Old::maybe) {
            struct stat there;
            if (::fstat(to_.dir(), &there) != 0) return failed_in_copy(errno, "", "copy it");
            if ((there.st_mode & 0700) != 0700) (void)!::fchmod(to_.dir(), 0700);
            std::vector<std::string> found;
            if (const int error = sorted_names(to_.dir(), found); error != 0) return failed_in_copy(error, "", "copy it");
            for (const std::string &name : found)
                if (!std::binary_search(level.names.begin(), level.names.end(), name) && !clear(name)) return false;
        }
        levels_.push_back(std::move(level));
        return true;
    }

    bool finish()
    {
        const int error = copy_attributes(from_.dir(), levels_.back().attributes, to_.dir());
        if (error != 0) return failed(error, "", "copy its attributes");
        return sync(to_.dir(), "");
    }

    bool sync(int fd, const std::string &name)
    {
        if (can_sync_all_ && ++synced_ > few) {
            late_ = true;
            return true;
        }
        return ::fsync(fd) == 0 || failed_in_copy(errno, name, "write it to the disk");
    }

    bool clear(const std::string &name)
    {
        std::string where;
        const int error = remove_entry(call_, to_.dir(), name, object_, where);
        return error == 0 || failed_in_copy(error, where, "replace it");
    }

    bool item(const std::string &name)
    {
        struct stat found;
        if (::fstatat(from_.dir(), name.c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0)
            // Gone since it was listed: the comparison will tell.
            return errno == ENOENT || failed(errno, name, "copy it");
        struct stat there;
        bool is_there = ::fstatat(to_.dir(), name.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0;
        if (!is_there && errno != ENOENT) return failed_in_copy(errno, name, "copy it");
        if (is_there && (there.st_mode & S_IFMT) != (found.st_mode & S_IFMT)) {
            if (!clear(name)) return false;
            is_there = false;
        }
        if (S_ISDIR(found.st_mode)) return folder(name, is_there);
        if (S_ISREG(found.st_mode)) return file(name, is_there ? &there : nullptr);
        if (is_there && !clear(name)) return false;
        if (S_ISLNK(found.st_mode)) return link(name, found);
        return special(name, found);
    }

    bool folder(const std::string &name, bool is_there)
    {
        if (!is_there && ::mkdirat(to_.dir(), name.c_str(), 0700) != 0) return failed_in_copy(errno, name, "copy it");
        if (const int error = from_.enter(name); error != 0) return failed(error, name, "copy it");
        // The one on the way down must not be left alone on the way up.
        const int error = to_.enter(name);
        if (error != 0) return failed_in_copy(error, "", "copy it");
        return begin(is_there ? Old::maybe : Old::none);
    }

    Descriptor open_file(int dir, const std::string &name, int flags) const noexcept
    {
        flags |= O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
        Descriptor fd(::openat(dir, name.c_str(), flags | O_NOATIME));
        if (!fd && errno == EPERM) fd.reset(::openat(dir, name.c_str(), flags));
        return fd;
    }

    bool file(const std::string &name, const struct stat *there)
    {
        const Descriptor in = open_file(from_.dir(), name, O_RDONLY);
        struct stat found;
        if (!in && errno == ENOENT) return true;
        if (!in || ::fstat(in.get(), &found) != 0) return failed(errno, name, "copy it");
        // Another file than was listed is one that replaced it, and is copied.
        if (!S_ISREG(found.st_mode)) return failed(ESTALE, name, "copy it");
        const std::string key = std::to_string(found.st_dev) + "-" + std::to_string(found.st_ino);
        const bool is_linked = found.st_nlink > 1;
        if (is_linked) {
            struct stat first;
            if (::fstatat(links_.get(), key.c_str(), &first, AT_SYMLINK_NOFOLLOW) == 0) {
                told_(static_cast<uint64_t>(found.st_size));
                if (there && there->st_ino == first.st_ino) return true;
                if (there && !clear(name)) return false;
                return ::linkat(links_.get(), key.c_str(), to_.dir(), name.c_str(), 0) == 0 ||
                       failed_in_copy(errno, name, "link it");
            }
            if (errno != ENOENT) return failed_in_copy(errno, name, "copy it");
        }
        const auto size = static_cast<uint64_t>(found.st_size);
        Descriptor out;
        int error = 0;
        const bool is_copied = there && there->st_size == found.st_size && same_time(there->st_mtim, found.st_mtim) &&
                               is_reusable(in.get(), found, name, out, error);
        if (error != 0) return failed(error, name, "copy it");
        if (is_copied) {
            told_(size);
            if (!read_anew(out.get(), name)) return false;
        } else {
            if (there && !clear(name)) return false;
            out.reset(::openat(to_.dir(), name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
            if (!out) return failed_in_copy(errno, name, "copy it");
            error = copy_content(call_, in.get(), out.get(), size, object_, told_);
            // The times come last, and so tell that the content is whole.
            if (error == 0) error = copy_attributes(in.get(), found, out.get());
            if (error != 0) return failed(error, name, "copy it");
        }
        if (is_linked && ::linkat(to_.dir(), name.c_str(), links_.get(), key.c_str(), 0) != 0)
            return failed_in_copy(errno, name, "link it");
        return sync(out.get(), name);
    }

    // Its own sync may have failed, and been told to who is gone: the comparison is to see what the disk has.
    bool read_anew(int fd, const std::string &name)
    {
        if (!(can_sync_all_ ? is_settled_ || ::syncfs(begun_.get()) == 0 : ::fsync(fd) == 0))
            return failed_in_copy(errno, name, "write it to the disk");
        is_settled_ = true;
        (void)::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        return true;
    }

    // Of an earlier copy. What has only this name is given its attributes again; what has others might not be ours, and has
    // to have them already.
    bool is_reusable(int from, const struct stat &found, const std::string &name, Descriptor &out, int &error) const
    {
        out = open_file(to_.dir(), name, O_RDONLY);
        struct stat there;
        if (!out || ::fstat(out.get(), &there) != 0 || !S_ISREG(there.st_mode)) return false;
        bool same = true;
        if (there.st_nlink == 1) error = copy_attributes(from, found, out.get());
        else error = has_attributes(from, found, out.get(), same);
        return error == 0 && same && (found.st_nlink > 1 || there.st_nlink == 1);
    }

    bool link(const std::string &name, const struct stat &found)
    {
        std::array<char, 4097> target{};
        const ssize_t size = ::readlinkat(from_.dir(), name.c_str(), target.data(), target.size() - 1);
        if (size < 0) return failed(errno, name, "copy it");
        if (::symlinkat(target.data(), to_.dir(), name.c_str()) != 0) return failed_in_copy(errno, name, "copy it");
        return attributes(name, found);
    }

    bool special(const std::string &name, const struct stat &found)
    {
        const mode_t kind = found.st_mode & S_IFMT;
        if (::mknodat(to_.dir(), name.c_str(), kind | 0600, found.st_rdev) != 0) return failed_in_copy(errno, name, "copy it");
        return attributes(name, found);
    }

    bool attributes(const std::string &name, const struct stat &found)
    {
        const int error = copy_attributes_at(found, to_.dir(), name.c_str());
        if (error != 0) return failed_in_copy(error, name, "copy its attributes");
        // What is never opened is written to the disk with the folder that it lies in.
        return true;
    }

    const Call &call_;
    const std::string &object_;
    const Told &told_;
    TreeCursor from_, to_;
    Descriptor links_;
    std::vector<Level> levels_;
    bool can_sync_all_;
    Descriptor begun_;   // to sync by: it is told what failed since it was opened
    bool is_settled_ = false;   // what was copied earlier is written out
    bool late_ = false;
    int synced_ = 0;
    TreeFault fault_;
};

}  // namespace

TreeFault copy_tree(const Call &call, Descriptor from, Descriptor to, Descriptor links, const std::string &object,
                    const Told &told)
{
    return TreeCopy(call, std::move(from), std::move(to), std::move(links), object, told).run();
}

TreeFault measure_tree(const Call &call, Descriptor top, const std::string &object, TreeSize &size)
{
    TreeCursor at(std::move(top));
    std::vector<std::vector<std::string>> left(1);
    const auto failed = [&](int number, const std::string &name) {
        const std::string folder = at.where();
        return TreeFault{number, folder + (folder.empty() || name.empty() ? "" : "/") + name, "read it"};
    };
    if (at.error() != 0) return failed(at.error(), "");
    if (const int error = sorted_names(at, left.back()); error != 0) return failed(error, "");
    for (;;) {
        call.check(object);
        if (left.back().empty()) {
            left.pop_back();
            if (left.empty()) return {};
            if (const int error = at.leave(); error != 0) return failed(error, "");
            continue;
        }
        const std::string name = std::move(left.back().back());
        left.back().pop_back();
        struct stat found;
        if (::fstatat(at.dir(), name.c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0) {
            if (errno == ENOENT) continue;
            return failed(errno, name);
        }
        ++size.items;
        if (S_ISREG(found.st_mode)) size.bytes += static_cast<uint64_t>(found.st_size);
        if (!S_ISDIR(found.st_mode)) continue;
        const int error = at.enter(name);
        if (error == ENOENT || error == ENOTDIR) continue;
        if (error != 0) return failed(error, name);
        left.emplace_back();
        if (const int other = sorted_names(at, left.back()); other != 0) return failed(other, "");
    }
}

}  // namespace litbuild::folder
