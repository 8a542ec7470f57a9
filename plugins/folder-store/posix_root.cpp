#include <folder-store/posix_root.hpp>

#include <array>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace litbuild::folder {

using linux_::Descriptor;

namespace {

constexpr int tries = 10;

// EAGAIN: a rename went on next to the lookup. ESTALE: a file server forgot the handle.
bool worth_a_retry(int number) noexcept { return number == EINTR || number == EAGAIN || number == ESTALE; }

Descriptor open_root(const std::string &path)
{
    Descriptor fd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (fd) return fd;
    if (errno == ENOENT) throw Error(Code::not_found, path + ": no such folder (root of the builds)", ENOENT);
    if (errno == ENOTDIR) throw Error(Code::invalid, path + ": is not a folder (root of the builds)", ENOTDIR);
    throw os_error(path, "open the root of the builds", errno);
}

bool is_on_nfs(int fd) noexcept
{
    struct statfs found;
    return ::fstatfs(fd, &found) == 0 && found.f_type == NFS_SUPER_MAGIC;
}

Descriptor open_component(int dir, const char *name, int flags) noexcept
{
    Descriptor fd(::openat(dir, name, flags | O_NOFOLLOW | O_CLOEXEC));
    if (fd || errno != ENOTDIR) return fd;
    // O_DIRECTORY hides that it is a link.
    struct stat found;
    errno = ::fstatat(dir, name, &found, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(found.st_mode) ? ELOOP : ENOTDIR;
    return fd;
}

}  // namespace

PosixRoot::PosixRoot(const std::string &path, Resolve resolve)
    : path_(path), fd_(open_root(path)), walk_(resolve == Resolve::walk), is_nfs_(is_on_nfs(fd_.get()))
{
    // An old kernel says ENOSYS or E2BIG, a container's filter EPERM.
    if (!walk_ && !at_once(fd_.get(), ".", O_PATH | O_DIRECTORY))
        walk_ = errno == ENOSYS || errno == EPERM || errno == E2BIG || errno == EINVAL;
}

Descriptor PosixRoot::open(const Path &path, int flags) const
{
    Descriptor fd, again;
    for (int i = 0; i < tries; ++i) {
        // What a server has forgotten may be there under another handle, the root itself, too.
        const bool is_stale = i > 0 && errno == ESTALE;
        if (is_stale) again.reset(::open(path_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
        if (is_stale && !again) break;
        const int root = again ? again.get() : fd_.get();
        if (is_nfs_ && !ask_for_names(root, path.text(), i == 0 ? Asked::lately : Asked::now)) continue;
        fd = path.is_root() ? Descriptor(::openat(root, ".", flags | O_CLOEXEC)) : resolve(root, path.text(), flags);
        if (fd || !worth_a_retry(errno)) break;
    }
    return fd;
}

Descriptor PosixRoot::open_file(const Path &path, int flags, bool &has_folder) const
{
    has_folder = false;
    Descriptor fd = open(path, flags);
    if (fd || errno != ENOENT) return fd;
    const Descriptor folder = open_parent(path);
    if (!folder) {
        errno = ENOENT;
        return fd;
    }
    fd = open_component(folder.get(), std::string(path.name()).c_str(), flags);
    has_folder = !fd && errno == ENOENT;
    return fd;
}

// As it was found when the path was opened: nothing is asked of a server.
Descriptor PosixRoot::open_parent(const Path &path) const
{
    constexpr int flags = O_PATH | O_DIRECTORY;
    const Path parent = path.parent();
    return parent.is_root() ? Descriptor(::openat(fd_.get(), ".", flags | O_CLOEXEC)) : resolve(fd_.get(), parent.text(), flags);
}

Descriptor PosixRoot::resolve(int root, const std::string &path, int flags) const noexcept
{
    return walk_ ? walk(root, path, flags) : at_once(root, path.c_str(), flags);
}

// A client asks for a name again where its folder has changed; so the folder is asked for. False: ESTALE.
bool PosixRoot::ask_for_names(int root, const std::string &path, Asked when) const
{
    constexpr size_t most = 4096;
    struct stat found;
    for (size_t end = 0; end != std::string::npos;) {
        const std::string folder = path.substr(0, end);
        const size_t next = path.find('/', end == 0 ? 0 : end + 1);
        const bool is_parent = next == std::string::npos;
        const Clock::time_point now = Clock::now();
        end = next;
        if (!is_parent && when == Asked::lately) {
            const std::lock_guard<std::mutex> hold(asked_mutex_);
            if (asked_.size() > most) asked_.clear();
            Clock::time_point &last = asked_[folder];
            if (now - last < remembered) continue;
            last = now;
        }
        const Descriptor fd = folder.empty() ? Descriptor(::openat(root, ".", O_PATH | O_DIRECTORY | O_CLOEXEC))
                                             : resolve(root, folder, O_PATH | O_DIRECTORY);
        if (!fd) return errno != ESTALE;
        if (fresh_stat(fd.get(), found) == 0) continue;
        if (errno != ESTALE) return true;
        // Not counted as asked.
        const std::lock_guard<std::mutex> hold(asked_mutex_);
        asked_.clear();
        errno = ESTALE;
        return false;
    }
    return true;
}

int fresh_stat(int fd, struct stat &found) noexcept
{
    struct statx asked;
    if (::statx(fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &asked) != 0 && errno != ENOSYS) return -1;
    return ::fstat(fd, &found);
}

Descriptor PosixRoot::at_once(int root, const char *path, int flags) const noexcept
{
    open_how how{};
    how.flags = static_cast<unsigned>(flags | O_NOFOLLOW | O_CLOEXEC);
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    const auto open_it = [&] {
        return Descriptor(static_cast<int>(::syscall(SYS_openat2, root, path, &how, sizeof how)));
    };
    Descriptor fd = open_it();
    if (fd || errno != ENOTDIR || (flags & O_DIRECTORY) == 0) return fd;
    // O_DIRECTORY hides that it is a link.
    how.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
    struct stat found;
    const Descriptor itself = open_it();
    errno = itself && ::fstat(itself.get(), &found) == 0 && S_ISLNK(found.st_mode) ? ELOOP : ENOTDIR;
    return Descriptor();
}

Descriptor PosixRoot::walk(int root, const std::string &path, int flags) const noexcept
{
    Descriptor held;
    int dir = root;
    for (size_t start = 0;;) {
        const size_t end = std::min(path.find('/', start), path.size());
        const bool last = end == path.size();
        std::array<char, 256> name{};   // a component has 255 bytes at most
        std::memcpy(name.data(), path.data() + start, end - start);
        Descriptor next = open_component(dir, name.data(), last ? flags : O_PATH | O_DIRECTORY);
        if (last || !next) return next;
        held = std::move(next);
        dir = held.get();
        start = end + 1;
    }
}

}  // namespace litbuild::folder
