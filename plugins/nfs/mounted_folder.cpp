#include <nfs/mounted_folder.hpp>

#include <cerrno>
#include <chrono>
#include <future>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <litbuild/error.hpp>
#include <litbuild/linux/signals.hpp>

#include <folder-store/pause.hpp>
#include <folder-store/posix_root.hpp>

namespace litbuild::nfs {

using folder::fresh_stat;
using linux_::Descriptor;

namespace {

constexpr int tries = 10;

LeaseFolder::File file_of(const struct stat &found) noexcept
{
    const int64_t modified_ns = static_cast<int64_t>(found.st_mtim.tv_sec) * 1'000'000'000 + found.st_mtim.tv_nsec;
    return {found.st_ino, modified_ns, S_ISREG(found.st_mode), {}};
}

// On the server when it returns. 0 or an errno.
int put(int fd, std::string_view text) noexcept
{
    for (off_t at = 0; !text.empty();) {
        const ssize_t done = ::pwrite(fd, text.data(), text.size(), at);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return errno;
        at += done;
        text.remove_prefix(static_cast<size_t>(done));
    }
    return ::fsync(fd) == 0 ? 0 : errno;
}

// 0, ENOENT: it is another file, or an errno.
int check(int fd, uint64_t inode, const std::string &begin)
{
    struct stat found;
    if (::fstat(fd, &found) != 0) return errno;
    if (found.st_ino != inode) return ENOENT;
    std::string text(begin.size(), '\0');
    const ssize_t got = ::pread(fd, text.data(), text.size(), 0);
    if (got < 0) return errno;
    return got == static_cast<ssize_t>(begin.size()) && text == begin ? 0 : ENOENT;
}

int renew_it(int folder, const std::string &name, uint64_t inode, const std::string &begin, std::string_view text)
{
    const Descriptor fd(::openat(folder, name.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!fd) return errno;
    const int number = check(fd.get(), inode, begin);
    return number == 0 ? put(fd.get(), text) : number;
}

}  // namespace

MountedFolder::MountedFolder(int folder) : shared_(std::make_shared<Shared>())
{
    shared_->folder.reset(::fcntl(folder, F_DUPFD_CLOEXEC, 0));
    struct stat found;
    if (!shared_->folder || ::fstat(folder, &found) != 0) throw Refusal{errno};
    key_ = std::to_string(found.st_dev) + ":" + std::to_string(found.st_ino);
}

std::optional<LeaseFolder::File> MountedFolder::look(const Call &, const std::string &name)
{
    struct stat found;
    for (int i = 0; i < tries; ++i) {
        // A client asks for a name again where its folder has changed; so the folder is asked for.
        if (fresh_stat(folder(), found) != 0) throw Refusal{errno};
        const Descriptor fd(::openat(folder(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
        if (!fd && errno == ENOENT) return std::nullopt;
        if (fd && fresh_stat(fd.get(), found) == 0) return file_of(found);
        if (errno != ESTALE) throw Refusal{errno};
    }
    throw Refusal{ESTALE};
}

bool MountedFolder::is_at(const File &file, const std::string &name)
{
    const std::optional<File> found = look(Call(), name);
    return found && found->inode == file.inode;
}

std::string MountedFolder::read(const Call &, const File &file, const std::string &name, uint32_t most)
{
    const Descriptor fd(::openat(folder(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat found;
    if (!fd || ::fstat(fd.get(), &found) != 0) throw Refusal{errno};
    if (found.st_ino != file.inode) throw Refusal{ESTALE};
    std::string text(most, '\0');
    const ssize_t got = ::pread(fd.get(), text.data(), text.size(), 0);
    if (got < 0) throw Refusal{errno};
    text.resize(static_cast<size_t>(got));
    return text;
}

bool MountedFolder::has_name(const Call &call, const File &file, const std::string &name)
{
    // A client asks for a name again where its folder has changed, and look() sees to that.
    const std::optional<File> found = look(call, name);
    if (!found || found->inode != file.inode) return false;
    const Descriptor fd(::openat(folder(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    const int number = fd ? check(fd.get(), file.inode, file.begin) : errno;
    if (number != 0 && number != ENOENT) throw Refusal{number};
    return number == 0;
}

LeaseFolder::File MountedFolder::make(const Call &, const std::string &name, std::string_view text, std::string_view begin)
{
    const Descriptor fd(::openat(folder(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
    if (!fd) throw Refusal{errno};
    struct stat found;
    int number = text.empty() ? 0 : put(fd.get(), text);
    if (number == 0 && fresh_stat(fd.get(), found) != 0) number = errno;
    if (number == 0) {
        File made = file_of(found);
        made.begin = begin;
        return made;
    }
    (void)::unlinkat(folder(), name.c_str(), 0);
    throw Refusal{number};
}

void MountedFolder::renew(const Call &call, const File &file, const std::string &name, std::string_view text)
{
    constexpr std::chrono::milliseconds look_for_cancel(20);
    while (shared_->is_renewing.exchange(true)) {
        call.check(name);
        folder::pause(call, look_for_cancel);
    }
    auto told = std::make_shared<std::promise<int>>();
    std::future<int> number = told->get_future();
    try {
        linux_::quiet_thread([shared = shared_, told, name, inode = file.inode, begin = file.begin, own = std::string(text)] {
            const std::lock_guard<std::mutex> opening(shared->opening);
            told->set_value(renew_it(shared->folder.get(), name, inode, begin, own));
            shared->is_renewing = false;
        }).detach();
    } catch (...) {
        shared_->is_renewing = false;
        throw;
    }
    while (number.wait_for(look_for_cancel) != std::future_status::ready) call.check(name);
    if (const int error = number.get(); error != 0) throw Refusal{error};
}

LeaseFolder::Linked MountedFolder::link(const Call &, const File &file, const std::string &name, const std::string &more)
{
    if (::linkat(folder(), name.c_str(), folder(), more.c_str(), 0) == 0) return Linked::done;
    const int number = errno;
    // Sent again after its answer was lost?
    if (is_at(file, more)) return Linked::done;
    if (number == EEXIST) return Linked::exists;
    throw Refusal{number};
}

bool MountedFolder::rename(const Call &, const File &file, const std::string &from, const std::string &to)
{
    if (::renameat(folder(), from.c_str(), folder(), to.c_str()) == 0) return true;
    const int number = errno;
    if (is_at(file, to)) return true;
    if (number == ENOENT) return false;
    throw Refusal{number};
}

void MountedFolder::remove(const Call &call, const File &file, const std::string &name)
{
    const std::lock_guard<std::mutex> opening(shared_->opening);
    if (has_name(call, file, name)) discard(call, file, name);
}

void MountedFolder::discard(const Call &, const File &, const std::string &name)
{
    (void)::unlinkat(folder(), name.c_str(), 0);
}

int64_t MountedFolder::modified_ns(const Call &)
{
    struct stat found;
    if (fresh_stat(folder(), found) != 0) throw Refusal{errno};
    return file_of(found).modified_ns;
}

void MountedFolder::set_modified_ns(const Call &, int64_t time_ns)
{
    constexpr int64_t second_ns = 1'000'000'000;
    const timespec times[2] = {{0, UTIME_OMIT}, {time_ns / second_ns, time_ns % second_ns}};
    if (::futimens(folder(), times) != 0) throw Refusal{errno};
}

}  // namespace litbuild::nfs
