#include <folder-store/posix_root.hpp>

#include <array>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
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
    : fd_(open_root(path)), walk_(resolve == Resolve::walk)
{
    // An old kernel says ENOSYS or E2BIG, a container's filter EPERM.
    if (!walk_ && !at_once(".", O_PATH | O_DIRECTORY))
        walk_ = errno == ENOSYS || errno == EPERM || errno == E2BIG || errno == EINVAL;
}

Descriptor PosixRoot::open(const Path &path, int flags) const noexcept
{
    Descriptor fd;
    for (int i = 0; i < tries; ++i) {
        if (path.is_root())
            fd.reset(::openat(fd_.get(), ".", flags | O_CLOEXEC));
        else
            fd = walk_ ? walk(path.text(), flags) : at_once(path.text().c_str(), flags);
        if (fd || !worth_a_retry(errno)) break;
    }
    return fd;
}

Descriptor PosixRoot::at_once(const char *path, int flags) const noexcept
{
    open_how how{};
    how.flags = static_cast<unsigned>(flags | O_NOFOLLOW | O_CLOEXEC);
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    const auto open_it = [&] {
        return Descriptor(static_cast<int>(::syscall(SYS_openat2, fd_.get(), path, &how, sizeof how)));
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

Descriptor PosixRoot::walk(const std::string &path, int flags) const noexcept
{
    Descriptor held;
    int dir = fd_.get();
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
