#include <folder-store/posix_dir.hpp>

#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <folder-store/tree_cursor.hpp>

namespace litbuild::folder {

using linux_::Descriptor;

namespace {

constexpr size_t buffer_size = 256 * 1024;

Kind kind_of_entry(int dir, const dirent64 &entry) noexcept
{
    switch (entry.d_type) {
    case DT_REG: return Kind::file;
    case DT_DIR: return Kind::folder;
    case DT_UNKNOWN: break;
    default: return Kind::other;
    }
    struct stat found;
    if (::fstatat(dir, entry.d_name, &found, AT_SYMLINK_NOFOLLOW) != 0) return Kind::none;
    return kind_of_mode(found.st_mode);
}

// One that its owner may not write to or read is made so: it goes away.
void open_up(int dir) noexcept
{
    struct stat found;
    if (::fstat(dir, &found) == 0 && (found.st_mode & 0700) != 0700)
        (void)!::fchmod(dir, (found.st_mode & 07777) | 0700);
}

// As open_up(), for one that cannot be opened as it is. A folder, and no other: a file may have a name elsewhere, too.
bool open_up(int parent, const std::string &name) noexcept
{
    const Descriptor dir(::openat(parent, name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!dir) return false;
    std::array<char, 32> itself;
    std::snprintf(itself.data(), itself.size(), "/proc/self/fd/%d", dir.get());
    return ::chmod(itself.data(), 0700) == 0;
}

int enter(TreeCursor &at, const std::string &name)
{
    int error = at.enter(name);
    if (error == EACCES && open_up(at.dir(), name)) error = at.enter(name);
    if (error == 0) open_up(at.dir());
    return error;
}

// 0: it is gone. EISDIR: it is a folder.
int unlink_file(int dir, const std::string &name) noexcept
{
    if (::unlinkat(dir, name.c_str(), 0) == 0 || errno == ENOENT) return 0;
    if (errno != EPERM) return errno;
    // What POSIX says where Linux says EISDIR.
    struct stat found;
    const bool is_folder = ::fstatat(dir, name.c_str(), &found, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(found.st_mode);
    return is_folder ? EISDIR : EPERM;
}

}  // namespace

Kind kind_of_mode(unsigned mode) noexcept
{
    return S_ISREG(mode) ? Kind::file : S_ISDIR(mode) ? Kind::folder : Kind::other;
}

int read_names(int dir, const NameSink &each)
{
    const auto buffer = std::make_unique_for_overwrite<char[]>(buffer_size);
    for (;;) {
        const ssize_t got = ::getdents64(dir, buffer.get(), buffer_size);
        if (got < 0 && errno == EINTR) continue;
        // ENOENT: the folder itself was removed meanwhile.
        if (got < 0 && errno != ENOENT) return errno;
        if (got <= 0) return 0;
        for (ssize_t at = 0; at < got;) {
            const auto &entry = *reinterpret_cast<const dirent64 *>(buffer.get() + at);
            at += entry.d_reclen;
            const std::string_view name = entry.d_name;
            if (name == "." || name == "..") continue;
            const Kind kind = kind_of_entry(dir, entry);
            if (kind != Kind::none && !each(name, kind)) return 0;
        }
    }
}

int remove_content(const Call &call, Descriptor dir, const std::string &object, std::string &where)
{
    // What is left to do at each level, the deepest last.
    std::vector<std::vector<std::string>> left(1);
    open_up(dir.get());
    TreeCursor at(std::move(dir));
    const auto failed = [&](int error, const std::string &name) {
        where = at.where();
        if (!where.empty() && !name.empty()) where += '/';
        where += name;
        return error;
    };
    if (at.error() != 0) return failed(at.error(), "");
    if (const int error = sorted_names(at.dir(), left.back()); error != 0) return failed(error, "");
    for (;;) {
        call.check(object);
        if (left.back().empty()) {
            if (left.size() == 1) return 0;
            left.pop_back();
            if (const int error = at.leave(); error != 0) return failed(error, "");
            const std::string &name = left.back().back();
            if (::unlinkat(at.dir(), name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) return failed(errno, name);
            left.back().pop_back();
            continue;
        }
        const std::string &name = left.back().back();
        int error = unlink_file(at.dir(), name);
        if (error == EISDIR) {
            error = enter(at, name);
            if (error == 0) {
                left.emplace_back();
                if (error = sorted_names(at.dir(), left.back()); error != 0) return failed(error, "");
                continue;
            }
            if (error == ENOENT) error = 0;
        }
        if (error != 0) return failed(error, name);
        left.back().pop_back();
    }
}

int remove_entry(const Call &call, int dir, const std::string &name, const std::string &object, std::string &where)
{
    where = name;
    int error = unlink_file(dir, name);
    if (error != EISDIR) return error;
    const auto open_it = [&] {
        return Descriptor(
            ::openat(dir, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    };
    Descriptor below = open_it();
    if (!below && errno == EACCES && open_up(dir, name)) below = open_it();
    if (!below) return errno == ENOENT ? 0 : errno;
    struct statx found{};
    if (::statx(below.get(), "", AT_EMPTY_PATH, 0, &found) == 0 &&
        (found.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0)
        return EXDEV;
    std::string inside;
    error = remove_content(call, std::move(below), object, inside);
    if (error != 0) where += "/" + inside;
    if (error != 0) return error;
    return ::unlinkat(dir, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : errno;
}

}  // namespace litbuild::folder
