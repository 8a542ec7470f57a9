// PosixFs::notices: inotify.
#include <folder-store/posix_fs.hpp>

#include <array>
#include <cerrno>
#include <cstdio>
#include <map>

#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace litbuild::folder {

using linux_::Descriptor;
using std::chrono::milliseconds;

namespace {

// What other hosts or programs do behind its back, such a file system does not tell.
bool is_told_all(int fd) noexcept
{
    struct statfs found;
    if (::fstatfs(fd, &found) != 0) return false;
    constexpr long fuse = 0x65735546, p9 = 0x01021997, cifs = static_cast<long>(0xff534d42), ceph = 0x00c36400,
                   lustre = 0x0bd00bd0, gpfs = 0x47504653, gfs2 = 0x01161970, ocfs2 = 0x7461636f, beegfs = 0x19830326,
                   smb2 = static_cast<long>(0xfe534d42);
    for (const long other : {static_cast<long>(NFS_SUPER_MAGIC), static_cast<long>(SMB_SUPER_MAGIC),
                             static_cast<long>(AFS_SUPER_MAGIC), static_cast<long>(CODA_SUPER_MAGIC), fuse, p9, cifs,
                             ceph, lustre, gpfs, gfs2, ocfs2, beegfs, smb2})
        if (static_cast<uint32_t>(found.f_type) == static_cast<uint32_t>(other)) return false;
    return true;
}

class Inotify final : public Notices {
public:
    Inotify(const PosixRoot &root, Descriptor queue) : root_(root), queue_(std::move(queue)) {}

    bool add(const Path &folder, int64_t key) override
    {
        const Descriptor dir = root_.open(folder, O_PATH | O_DIRECTORY);
        if (!dir || !is_told_all(dir.get())) return false;
        // By what is held: the path could lead elsewhere by now.
        std::array<char, 32> itself;
        std::snprintf(itself.data(), itself.size(), "/proc/self/fd/%d", dir.get());
        constexpr uint32_t events = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE | IN_DELETE_SELF |
                                    IN_MOVE_SELF | IN_ONLYDIR;
        const int watch = ::inotify_add_watch(queue_.get(), itself.data(), events);
        if (watch < 0) return false;
        keys_[watch] = key;
        return true;
    }

    void forget(int64_t key) override
    {
        for (auto at = keys_.begin(); at != keys_.end();) {
            if (at->second != key) {
                ++at;
                continue;
            }
            ::inotify_rm_watch(queue_.get(), at->first);
            at = keys_.erase(at);
        }
    }

    bool wait(const Call &call, milliseconds most, const Sink &each) override
    {
        pollfd ready[2] = {{queue_.get(), POLLIN, 0}, {call.cancel_fd(), POLLIN, 0}};
        const auto rest = std::min(most, std::chrono::ceil<milliseconds>(call.left(most)));
        if (::poll(ready, 2, static_cast<int>(rest.count())) <= 0 || (ready[0].revents & POLLIN) == 0) return true;
        bool all = true;
        alignas(inotify_event) std::array<char, 64 * 1024> buffer;
        for (;;) {
            const ssize_t got = ::read(queue_.get(), buffer.data(), buffer.size());
            if (got < 0 && errno == EINTR) continue;
            if (got <= 0) return all;
            for (ssize_t at = 0; at < got;) {
                const auto &event = *reinterpret_cast<const inotify_event *>(buffer.data() + at);
                at += static_cast<ssize_t>(sizeof event + event.len);
                if ((event.mask & IN_Q_OVERFLOW) != 0) all = false;
                const auto key = keys_.find(event.wd);
                if (key == keys_.end()) continue;
                each(key->second, event.len > 0 ? std::string_view(event.name) : std::string_view());
                if ((event.mask & IN_IGNORED) != 0) keys_.erase(key);
            }
        }
    }

private:
    const PosixRoot &root_;
    Descriptor queue_;
    std::map<int, int64_t> keys_;
};

}  // namespace

std::unique_ptr<Notices> PosixFs::notices()
{
    Descriptor queue(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (!queue) return nullptr;
    return std::make_unique<Inotify>(root_, std::move(queue));
}

}  // namespace litbuild::folder
