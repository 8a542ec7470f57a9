#include <folder-store/posix_attributes.hpp>

#include <array>
#include <cerrno>
#include <cstdio>

#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <litbuild/linux/descriptor.hpp>

namespace litbuild::folder {

namespace {

constexpr const char *access_list = "system.posix_acl_access";

bool not_here(int number) noexcept { return number == EOPNOTSUPP || number == ENOSYS; }

// Owner and group may not be ours to give; then the copy is its maker's, as with any copy.
template <class Chown>
void give_away(const struct stat &from, const struct stat &now, Chown chown)
{
    if (from.st_uid == now.st_uid && from.st_gid == now.st_gid) return;
    if (chown(from.st_uid, from.st_gid) == 0) return;
    (void)!chown(static_cast<uid_t>(-1), from.st_gid);
}

int set_attribute(int fd, const std::string &name, const std::string &value)
{
    if (::fsetxattr(fd, name.c_str(), value.data(), value.size(), 0) == 0) return 0;
    return must_be_kept(name) ? errno : 0;
}

}  // namespace

bool must_be_kept(const std::string &attribute) noexcept
{
    return attribute.starts_with("user.") || attribute.starts_with("system.posix_acl_");
}

int read_attributes(int fd, Attributes &out)
{
    out.clear();
    std::string names, value;
    for (;;) {
        const ssize_t size = ::flistxattr(fd, nullptr, 0);
        if (size < 0) return not_here(errno) ? 0 : errno;
        if (size == 0) return 0;
        names.resize(static_cast<size_t>(size));
        const ssize_t got = ::flistxattr(fd, names.data(), names.size());
        if (got < 0 && errno == ERANGE) continue;
        if (got < 0) return errno;
        names.resize(static_cast<size_t>(got));
        break;
    }
    for (size_t at = 0; at < names.size();) {
        const std::string name = names.c_str() + at;
        at += name.size() + 1;
        value.resize(64 * 1024);   // the most that Linux allows
        const ssize_t got = ::fgetxattr(fd, name.c_str(), value.data(), value.size());
        if (got < 0 && (errno == ENODATA || !must_be_kept(name))) continue;
        if (got < 0) return errno;
        out[name] = value.substr(0, static_cast<size_t>(got));
    }
    return 0;
}

mode_t mode_of_copy(const struct stat &from, const struct stat &copy) noexcept
{
    mode_t mode = from.st_mode & 07777;
    if (copy.st_gid != from.st_gid) mode &= ~static_cast<mode_t>(070) | ((mode & 07) << 3);
    if (copy.st_gid != from.st_gid || copy.st_uid != from.st_uid) mode &= ~static_cast<mode_t>(S_ISUID | S_ISGID);
    return mode;
}

int copy_attributes(int from, const struct stat &from_stat, int to)
{
    struct stat now;
    if (::fstat(to, &now) != 0) return errno;
    give_away(from_stat, now, [&](uid_t user, gid_t group) { return ::fchown(to, user, group); });
    Attributes wanted, there;
    if (const int error = read_attributes(from, wanted); error != 0) return error;
    if (const int error = read_attributes(to, there); error != 0) return error;
    // An access list may come from the folder that it lies in.
    for (const auto &[name, value] : there)
        if (must_be_kept(name) && !wanted.contains(name) && ::fremovexattr(to, name.c_str()) != 0 && errno != ENODATA)
            return errno;
    // Before the mode, which may take the right to set them; the list after it, for the mode is a part of it.
    for (const auto &[name, value] : wanted) {
        const auto had = there.find(name);
        if (name == access_list || (had != there.end() && had->second == value)) continue;
        if (const int error = set_attribute(to, name, value); error != 0) return error;
    }
    if (::fstat(to, &now) != 0) return errno;
    const mode_t mode = mode_of_copy(from_stat, now);
    if ((now.st_mode & 07777) != mode && ::fchmod(to, mode) != 0) return errno;
    // A list that names groups is not given to a file of another one.
    if (wanted.contains(access_list) && now.st_gid == from_stat.st_gid)
        if (const int error = set_attribute(to, access_list, wanted[access_list]); error != 0) return error;
    const timespec times[2] = {from_stat.st_atim, from_stat.st_mtim};
    return ::futimens(to, times) == 0 ? 0 : errno;
}

int copy_attributes_at(const struct stat &from, int dir, const char *name)
{
    // By what is held: its name could mean something else by now.
    const linux_::Descriptor made(::openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct stat now;
    if (!made || ::fstat(made.get(), &now) != 0) return errno;
    if ((now.st_mode & S_IFMT) != (from.st_mode & S_IFMT) || now.st_nlink != 1) return EBUSY;
    give_away(from, now, [&](uid_t user, gid_t group) {
        return ::fchownat(made.get(), "", user, group, AT_EMPTY_PATH);
    });
    std::array<char, 32> itself;
    std::snprintf(itself.data(), itself.size(), "/proc/self/fd/%d", made.get());
    if (!S_ISLNK(from.st_mode)) {
        if (::fstat(made.get(), &now) != 0) return errno;
        const mode_t mode = mode_of_copy(from, now);
        if ((now.st_mode & 07777) != mode && ::chmod(itself.data(), mode) != 0) return errno;
    }
    const timespec times[2] = {from.st_atim, from.st_mtim};
    return ::utimensat(AT_FDCWD, itself.data(), times, 0) == 0 ? 0 : errno;
}

int has_attributes(int from, const struct stat &from_stat, int to, bool &same)
{
    struct stat now;
    if (::fstat(to, &now) != 0) return errno;
    Attributes wanted, there;
    if (const int error = read_attributes(from, wanted); error != 0) return error;
    if (const int error = read_attributes(to, there); error != 0) return error;
    same = wanted == there && now.st_uid == from_stat.st_uid && now.st_gid == from_stat.st_gid &&
           now.st_mode == from_stat.st_mode && same_time(now.st_mtim, from_stat.st_mtim);
    return 0;
}

}  // namespace litbuild::folder
