#include <folder-store/posix_fs.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <limits>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <folder-store/noise.hpp>
#include <folder-store/owner.hpp>
#include <folder-store/pause.hpp>
#include <folder-store/posix_dir.hpp>

namespace litbuild::folder {

using linux_::Descriptor;
using std::chrono::milliseconds;

namespace {

constexpr size_t piece_size = 32 * 1024;
constexpr size_t editable_size = 1024 * 1024;
constexpr int stale_tries = 10;

std::string absolute(const std::string &path)
{
    if (path.empty() || path.find('\0') != std::string::npos)
        throw Error(Code::invalid, quote(path) + ": not a folder name (root of the builds)");
    std::error_code error;
    std::filesystem::path full = std::filesystem::absolute(path, error);
    if (error) throw os_error(path, "make it absolute", error.value());
    // What ".." leads to depends on links, which otherwise stay in the path as users know it.
    if (std::find(full.begin(), full.end(), "..") != full.end()) full = std::filesystem::weakly_canonical(full, error);
    if (error) throw os_error(path, "make it absolute", error.value());
    std::string text = full.lexically_normal();
    while (text.size() > 1 && text.back() == '/') text.pop_back();
    return text;
}

// A folder that is away or a file in its place: nothing can be in there.
bool is_missing(int number) noexcept { return number == ENOENT || number == ENOTDIR; }

int write_all(int fd, std::string_view content) noexcept
{
    while (!content.empty()) {
        const ssize_t put = ::write(fd, content.data(), content.size());
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return errno;
        content.remove_prefix(static_cast<size_t>(put));
    }
    return 0;
}

int64_t ns_of(const timespec &time) noexcept { return static_cast<int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec; }
int64_t modified(const struct stat &found) noexcept { return ns_of(found.st_mtim); }
int64_t changed(const struct stat &found) noexcept { return ns_of(found.st_ctim); }

}  // namespace

PosixFs::PosixFs(const std::string &root, Resolve resolve) : path_(absolute(root)), root_(path_, resolve) {}

Descriptor PosixFs::parent_of(const Path &path, const char *action) const
{
    Descriptor dir = root_.open(path.parent(), O_RDONLY | O_DIRECTORY);
    if (!dir) throw failed(path, action, errno);
    return dir;
}

bool PosixFs::read_dir(const Call &, const Path &dir, const NameSink &each)
{
    bool told = false;
    const NameSink each_told = [&](std::string_view name, Kind kind) {
        told = true;
        return each(name, kind);
    };
    for (int i = 0;; ++i) {
        const Descriptor fd = root_.open(dir, O_RDONLY | O_DIRECTORY);
        if (!fd && is_missing(errno)) return false;
        if (!fd) throw failed(dir, "list it", errno);
        struct stat found;
        int number = root_.is_nfs() && fresh_stat(fd.get(), found) != 0 ? errno : 0;
        if (number == 0) number = read_names(fd.get(), each_told);
        if (number == 0) return true;
        if (number != ESTALE || told || i == stale_tries) throw failed(dir, "list it", number);
    }
}

Info PosixFs::look(const Call &, const Path &path)
{
    struct stat found;
    for (int i = 0;; ++i) {
        const Descriptor fd = root_.open(path, O_PATH);
        if (!fd && is_missing(errno)) return {};
        if (fd && (root_.is_nfs() ? fresh_stat(fd.get(), found) : ::fstat(fd.get(), &found)) == 0) break;
        if (errno != ESTALE || i == stale_tries) throw failed(path, "look at it", errno);
    }
    return {kind_of_mode(found.st_mode), modified(found), static_cast<uint64_t>(found.st_size), found.st_ino,
            changed(found)};
}

Read PosixFs::read(const Call &call, const Path &path, uint64_t offset, uint64_t max, const TextSink &sink)
{
    for (int i = 0;; ++i) {
        bool told = false;
        Read result = Read::done;
        const int number = read_once(call, path, offset, max, [&](std::string_view piece) {
            told = true;
            return sink(piece);
        }, result);
        if (number == 0) return result;
        // Replaced since it was opened, and forgotten by its server: the new one is whole, too.
        if (number != ESTALE || told || i == stale_tries) throw failed(path, "read it", number);
    }
}

int PosixFs::read_once(const Call &call, const Path &path, uint64_t offset, uint64_t max, const TextSink &sink, Read &result) const
{
    bool has_folder = false;
    const Descriptor fd = root_.open_file(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, has_folder);
    if (!fd && is_missing(errno)) {
        result = has_folder ? Read::no_file : Read::no_folder;
        return 0;
    }
    if (!fd && errno != ENXIO) return errno;
    struct stat found;
    if (fd && ::fstat(fd.get(), &found) != 0) return errno;
    if (!fd || !S_ISREG(found.st_mode)) throw Error(Code::corrupt, shown(path) + ": is not a regular file");

    // The end as it is now: a file that grows faster than it is read has one, too.
    const auto size = static_cast<uint64_t>(found.st_size);
    if (offset >= size) return 0;
    uint64_t left = max == 0 ? size - offset : std::min(max, size - offset);
    std::array<char, piece_size> piece;
    while (left > 0) {
        call.check(shown(path));
        const size_t want = static_cast<size_t>(std::min<uint64_t>(left, piece.size()));
        const ssize_t got = ::pread(fd.get(), piece.data(), want, static_cast<off_t>(offset));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno;
        if (got == 0 || !sink({piece.data(), static_cast<size_t>(got)})) break;
        offset += static_cast<uint64_t>(got);
        left -= static_cast<uint64_t>(got);
    }
    return 0;
}

bool PosixFs::make_dir(const Call &, const Path &path)
{
    const Descriptor dir = parent_of(path, "make the folder");
    if (::mkdirat(dir.get(), std::string(path.name()).c_str(), 0777) == 0) return true;
    if (errno == EEXIST) return false;
    throw failed(path, "make the folder", errno);
}

bool PosixFs::make_dir_alike(const Call &call, const Path &path)
{
    if (!make_dir(call, path)) return false;
    const Descriptor dir = parent_of(path, "make the folder"), made = root_.open(path, O_RDONLY | O_DIRECTORY);
    struct stat parent;
    if (!made || ::fstat(dir.get(), &parent) != 0) return true;
    // Only root may give it away; what cannot be given stays as it was made.
    (void)!::fchown(made.get(), parent.st_uid, parent.st_gid);
    (void)!::fchmod(made.get(), parent.st_mode & 07777);
    return true;
}

// Returns its inode.
uint64_t PosixFs::write(int dir, const char *name, const Path &path, std::string_view content, Durable durable) const
{
    Descriptor fd(::openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666));
    if (!fd) throw failed(path, "write it", errno);
    int number = write_all(fd.get(), content);
    if (number == 0 && durable == Durable::yes && ::fsync(fd.get()) != 0) number = errno;
    struct stat made;
    if (number == 0 && ::fstat(fd.get(), &made) != 0) number = errno;
    // What a file server has no room for, it may say only now.
    if (::close(fd.release()) != 0 && number == 0 && errno != EINTR) number = errno;
    if (number == 0) return made.st_ino;
    ::unlinkat(dir, name, 0);
    throw failed(path, "write it", number);
}

// A new one, which gets its name next. Returns its inode.
uint64_t PosixFs::write_held(const Call &call, Lock *held, int dir, const std::string &temporary, const Path &path,
                             std::string_view content, Durable durable) const
{
    const uint64_t made = write(dir, temporary.c_str(), path, content, durable);
    try {
        require_held(call, held, path);
    } catch (...) {
        ::unlinkat(dir, temporary.c_str(), 0);
        throw;
    }
    return made;
}

void PosixFs::write_file(const Call &, const Path &path, std::string_view content, Durable durable)
{
    const Descriptor dir = parent_of(path, "write it");
    write(dir.get(), std::string(path.name()).c_str(), path, content, durable);
}

void PosixFs::replace(const Call &call, int dir, const Path &path, std::string_view content, Durable durable, Lock *held) const
{
    const std::string temporary = temporary_name(), name(path.name());
    const uint64_t made = write_held(call, held, dir, temporary, path, content, durable);
    if (::renameat(dir, temporary.c_str(), dir, name.c_str()) != 0) {
        const int number = errno;
        struct stat there;
        // Sent again after its answer was lost, it finds nothing to rename any more.
        const bool is_done = number == ENOENT && ::fstatat(dir, name.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0 && there.st_ino == made;
        if (!is_done) {
            ::unlinkat(dir, temporary.c_str(), 0);
            throw failed(path, "replace it", number);
        }
    }
    if (durable == Durable::yes && ::fsync(dir) != 0) throw failed(path, "replace it", errno);
}

void PosixFs::replace_file(const Call &call, const Path &path, std::string_view content, Durable durable)
{
    replace(call, parent_of(path, "replace it").get(), path, content, durable, nullptr);
}

// A new file, whole when it has its name.
void PosixFs::publish(const Call &call, int dir, const Path &path, std::string_view content, Durable durable, Lock *held) const
{
    const std::string temporary = temporary_name(), name(path.name());
    const uint64_t made = write_held(call, held, dir, temporary, path, content, durable);
    struct stat there;
    int number = ::linkat(dir, temporary.c_str(), dir, name.c_str(), 0) == 0 ? 0 : errno;
    // A link that was sent again has found itself.
    if (number == EEXIST && ::fstatat(dir, name.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0 && there.st_ino == made) number = 0;
    ::unlinkat(dir, temporary.c_str(), 0);
    if (number == EEXIST) throw Error(Code::unavailable, shown(path) + ": was made by another host meanwhile; try again");
    if (number == 0 && durable == Durable::yes && ::fsync(dir) != 0) number = errno;
    if (number != 0) throw failed(path, "write it", number);
}

Descriptor PosixFs::lock(const Call &call, int dir, const Path &path, Times times) const
{
    const std::string_view name = path.name();
    const std::string file = (name.front() == '.' ? "" : ".") + std::string(name) + ".lock";
    milliseconds wait(1);
    for (;;) {
        constexpr int flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
        Descriptor fd(::openat(dir, file.c_str(), flags));
        struct stat held, there;
        if (!fd && errno == ENOENT) {
            const bool known = times == Times::keep && ::fstat(dir, &held) == 0;
            fd.reset(::openat(dir, file.c_str(), flags | O_CREAT, 0666));
            const timespec before[2] = {held.st_atim, held.st_mtim};
            if (fd && known) (void)!::futimens(dir, before);
        }
        // A socket and a device without a driver cannot be opened.
        if (!fd && errno == ENXIO) throw Error(Code::corrupt, shown(path) + ": its lock is not a regular file");
        if (!fd || ::fstat(fd.get(), &held) != 0) throw failed(path, "lock it", errno);
        if (!S_ISREG(held.st_mode)) throw Error(Code::corrupt, shown(path) + ": its lock is not a regular file");
        struct flock whole{};
        whole.l_type = F_WRLCK;
        whole.l_whence = SEEK_SET;
        if (::fcntl(fd.get(), F_OFD_SETLK, &whole) == 0) {
            // Who removed the file took the lock along: the next one would lock another.
            const bool same = ::fstatat(dir, file.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0;
            if (same && there.st_ino == held.st_ino) return fd;
        } else if (errno != EAGAIN && errno != EACCES && errno != EINTR) {
            throw failed(path, "lock it", errno);
        }
        call.check(shown(path));
        pause(call, wait);
        wait = std::min(wait * 2, milliseconds(20));
    }
}

std::optional<std::string> PosixFs::content(const Call &call, int dir, const Path &path) const
{
    const std::string name(path.name());
    const Descriptor fd(::openat(dir, name.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd && errno == ENOENT) return std::nullopt;
    // A socket and a device without a driver cannot be opened.
    if (!fd && errno != ENXIO) throw failed(path, "read it", errno);
    struct stat found;
    if (fd && ::fstat(fd.get(), &found) != 0) throw failed(path, "read it", errno);
    if (!fd || !S_ISREG(found.st_mode)) throw Error(Code::corrupt, shown(path) + ": is not a regular file");
    std::string text;
    std::array<char, piece_size> piece;
    for (;;) {
        call.check(shown(path));
        const ssize_t got = ::read(fd.get(), piece.data(), piece.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw failed(path, "read it", errno);
        if (got == 0) return text;
        text.append(piece.data(), static_cast<size_t>(got));
        if (text.size() > editable_size) throw Error(Code::corrupt, shown(path) + ": is larger than 1 MiB");
    }
}

void PosixFs::edit_file(const Call &call, const Path &path, Durable durable, const Change &change)
{
    const Descriptor dir = parent_of(path, "change it");
    const std::unique_ptr<Lock> held = hold(call, dir.get(), path, Times::change);
    // Who copies the folder elsewhere holds the lock when he puts it away; what is changed now would go with it.
    if (!is_still(dir.get(), path.parent())) throw Error(Code::not_found, shown(path) + ": was moved meanwhile", ENOENT);
    const std::optional<std::string> before = content(call, dir.get(), path);
    const std::string after = change(before.value_or(""));
    if (after == before.value_or("")) return;
    if (after.size() > editable_size) throw Error(Code::invalid, shown(path) + ": would be larger than 1 MiB");
    // A client may believe for a moment that there is no file which another host has just made.
    if (!before && root_.is_nfs()) publish(call, dir.get(), path, after, durable, held.get());
    else replace(call, dir.get(), path, after, durable, held.get());
}

Renamed PosixFs::rename(const Call &call, const Path &from, const Path &to)
{
    const Descriptor from_dir = root_.open(from.parent(), O_PATH | O_DIRECTORY);
    if (!from_dir && is_missing(errno)) return Renamed::missing;
    if (!from_dir) throw failed(from, "move it", errno);
    const Descriptor to_dir = root_.open(to.parent(), O_PATH | O_DIRECTORY);
    if (!to_dir && is_missing(errno)) return Renamed::missing;
    if (!to_dir) throw failed(to, "move it", errno);

    const std::string from_name(from.name());
    const std::string to_name(to.name());
    int done = ::renameat2(from_dir.get(), from_name.c_str(), to_dir.get(), to_name.c_str(), RENAME_NOREPLACE);
    if (done != 0 && (errno == EINVAL || errno == ENOSYS)) {
        // A file system that cannot promise it. A folder with something in it is never replaced anyway.
        if (look(call, to).kind != Kind::none) return Renamed::exists;
        done = ::renameat(from_dir.get(), from_name.c_str(), to_dir.get(), to_name.c_str());
    }
    if (done == 0) return Renamed::done;
    switch (errno) {
    case ENOENT: return Renamed::missing;
    case EEXIST:
    case ENOTEMPTY: return Renamed::exists;
    case EXDEV: return Renamed::other_file_system;
    default: throw failed(from, "move it", errno);
    }
}

void PosixFs::sync_dir(const Call &, const Path &dir)
{
    const Descriptor fd = root_.open(dir, O_RDONLY | O_DIRECTORY);
    if (!fd || ::fsync(fd.get()) != 0) throw failed(dir, "write it to the disk", errno);
}

bool PosixFs::remove_file(const Call &, const Path &path)
{
    const Descriptor dir = root_.open(path.parent(), O_PATH | O_DIRECTORY);
    if (!dir && is_missing(errno)) return false;
    if (!dir) throw failed(path, "remove it", errno);
    if (::unlinkat(dir.get(), std::string(path.name()).c_str(), 0) == 0) return true;
    if (errno == ENOENT) return false;
    throw failed(path, "remove it", errno);
}

}  // namespace litbuild::folder
