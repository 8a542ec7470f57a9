// Disks that remember: every write and every flush of each, in the order in which they came.
//
// A FUSE server of one process serves a file per disk; a loop device over such a file is the disk. The kernel's loop driver
// turns what a file system sends it into reads, writes and, for a flush, fsync of that file. A write is answered after it is
// in the log; so what the log holds when a call returns is all that the call has sent.
#pragma once

#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <litbuild/linux/descriptor.hpp>

namespace power {

namespace fs = std::filesystem;
using litbuild::linux_::Descriptor;

inline void must(bool good, const std::string &what)
{
    if (!good) throw std::runtime_error(what + ": " + std::strerror(errno));
}

/// Memory that a process shares with those it forks; zeroes at first.
template <class T>
class Shared {
public:
    explicit Shared(size_t count = 1)
        : size_(count * sizeof(T)),
          at_(::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))
    {
        must(at_ != MAP_FAILED, "shared memory");
    }
    ~Shared() { ::munmap(at_, size_); }
    Shared(const Shared &) = delete;
    Shared &operator=(const Shared &) = delete;
    T *get() const noexcept { return static_cast<T *>(at_); }
    T *operator->() const noexcept { return get(); }
    T &operator[](size_t i) const noexcept { return get()[i]; }
    size_t count() const noexcept { return size_ / sizeof(T); }

private:
    size_t size_;
    void *at_;
};

struct Record {
    enum Kind : uint32_t { write, flush } kind;
    uint32_t disk;
    uint64_t offset;   ///< on the disk
    uint64_t length;
    uint64_t content;   ///< where its bytes are
};

class Disks {
public:
    /// Serves files "0", "1", ... of the given sizes in the folder `at`, until the object goes.
    Disks(fs::path at, const std::vector<uint64_t> &sizes) : at_(std::move(at)), sizes_(sizes)
    {
        for (const uint64_t size : sizes) {
            files_.emplace_back(::memfd_create("disk", MFD_CLOEXEC));
            must(files_.back() && ::ftruncate(files_.back().get(), static_cast<off_t>(size)) == 0, "memory for a disk");
        }
        Descriptor device(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
        must(static_cast<bool>(device), "/dev/fuse");
        const std::string options =
            "fd=" + std::to_string(device.get()) + ",rootmode=40000,user_id=0,group_id=0,max_read=131072";
        must(::mount("litbuild-power", at_.c_str(), "fuse", MS_NOSUID | MS_NODEV, options.c_str()) == 0, "mount fuse");
        // Not a thread of this process: what waits for the disk would keep it from ending, and it would keep the disk waiting.
        const pid_t parent = ::getpid();
        server_ = ::fork();
        must(server_ >= 0, "fork");
        if (server_ > 0) return;
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() == parent) serve(device.get());
        ::_exit(1);
    }
    ~Disks()
    {
        ::umount2(at_.c_str(), MNT_DETACH);
        ::kill(server_, SIGKILL);
        ::waitpid(server_, nullptr, 0);
    }
    Disks(const Disks &) = delete;
    Disks &operator=(const Disks &) = delete;

    size_t count() const noexcept { return sizes_.size(); }
    uint64_t size(size_t disk) const { return sizes_.at(disk); }
    fs::path path(size_t disk) const { return at_ / std::to_string(disk); }
    /// The content as it is now.
    int file(size_t disk) const { return files_.at(disk).get(); }

    /// How many records there are.
    uint64_t position() const noexcept { return head_->records.load(); }
    const Record &record(uint64_t i) const noexcept { return records_[i]; }
    std::string_view content(const Record &record) const noexcept
    {
        return {bytes_.get() + record.content, record.length};
    }
    /// It had no room left; what came then was refused, and the log ends before that.
    bool overflowed() const noexcept { return head_->overflowed.load(); }

private:
    static constexpr size_t most_records = 4'000'000;
    static constexpr size_t most_bytes = size_t(4) << 30;
    static constexpr size_t largest_write = 128 * 1024;
    static constexpr uint64_t first_file = 2;   // node 1 is the folder

    struct Head {
        std::atomic<uint64_t> records, bytes;
        std::atomic<bool> overflowed;
    };

    [[noreturn]] void serve(int device)
    {
        std::vector<char> in(largest_write + 64 * 1024), out(largest_write);
        for (;;) {
            const ssize_t got = ::read(device, in.data(), in.size());
            if (got < 0 && (errno == EINTR || errno == EAGAIN || errno == ENOENT)) continue;
            if (got < static_cast<ssize_t>(sizeof(fuse_in_header))) ::_exit(0);
            fuse_in_header head;
            std::memcpy(&head, in.data(), sizeof head);
            if (head.opcode == FUSE_FORGET || head.opcode == FUSE_BATCH_FORGET || head.opcode == FUSE_INTERRUPT) continue;
            int size = answer(head, in.data() + sizeof head, out.data());
            fuse_out_header to{};
            to.unique = head.unique;
            to.error = size < 0 ? size : 0;
            size = std::max(size, 0);
            to.len = static_cast<uint32_t>(sizeof to) + static_cast<uint32_t>(size);
            const iovec parts[] = {{&to, sizeof to}, {out.data(), static_cast<size_t>(size)}};
            if (::writev(device, parts, size > 0 ? 2 : 1) < 0 && errno != ENOENT) ::_exit(1);
        }
    }

    template <class T>
    static int put(char *out, const T &value) noexcept
    {
        std::memcpy(out, &value, sizeof value);
        return sizeof value;
    }

    fuse_attr attributes(uint64_t node) const noexcept
    {
        fuse_attr out{};
        out.ino = node;
        out.mode = node < first_file ? 040755 : 0100600;
        out.nlink = 1;
        out.blksize = 4096;
        if (node >= first_file) out.size = sizes_[node - first_file];
        return out;
    }

    /// The size of the answer, or an errno below zero.
    int answer(const fuse_in_header &head, const char *in, char *out)
    {
        const size_t disk = head.nodeid - first_file;
        const bool is_file = head.nodeid >= first_file && disk < sizes_.size();
        switch (head.opcode) {
        case FUSE_INIT: {
            fuse_init_out init{};
            init.major = FUSE_KERNEL_VERSION;
            init.minor = 31;
            init.flags = FUSE_BIG_WRITES | FUSE_MAX_PAGES;
            init.max_write = largest_write;
            init.max_pages = largest_write / 4096;
            return put(out, init);
        }
        case FUSE_LOOKUP: {
            for (size_t i = 0; i < sizes_.size(); ++i) {
                if (std::to_string(i) != in) continue;
                fuse_entry_out entry{};
                entry.nodeid = first_file + i;
                entry.entry_valid = entry.attr_valid = 3600;
                entry.attr = attributes(entry.nodeid);
                return put(out, entry);
            }
            return -ENOENT;
        }
        case FUSE_GETATTR:
        case FUSE_SETATTR: {
            fuse_attr_out found{};
            found.attr_valid = 3600;
            found.attr = attributes(head.nodeid);
            return put(out, found);
        }
        case FUSE_OPEN: return is_file ? put(out, fuse_open_out{}) : -EISDIR;
        case FUSE_FLUSH:
        case FUSE_RELEASE: return 0;
        case FUSE_STATFS: return put(out, fuse_statfs_out{});
        case FUSE_READ: {
            fuse_read_in wanted;
            std::memcpy(&wanted, in, sizeof wanted);
            const ssize_t got = ::pread(files_[disk].get(), out, std::min<size_t>(wanted.size, largest_write),
                                        static_cast<off_t>(wanted.offset));
            return got < 0 ? -errno : static_cast<int>(got);
        }
        case FUSE_WRITE: {
            fuse_write_in given;
            std::memcpy(&given, in, sizeof given);
            if (!keep({Record::write, static_cast<uint32_t>(disk), given.offset, given.size, 0}, in + sizeof given))
                return -EIO;
            const ssize_t done =
                ::pwrite(files_[disk].get(), in + sizeof given, given.size, static_cast<off_t>(given.offset));
            if (done < 0) return -errno;
            fuse_write_out written{};
            written.size = static_cast<uint32_t>(done);
            return put(out, written);
        }
        case FUSE_FSYNC: return keep({Record::flush, static_cast<uint32_t>(disk), 0, 0, 0}, nullptr) ? 0 : -EIO;
        default: return -ENOSYS;
        }
    }

    bool keep(Record record, const char *content) noexcept
    {
        const uint64_t at = head_->records.load(), bytes = head_->bytes.load();
        if (head_->overflowed.load() || at == most_records || bytes + record.length > most_bytes) {
            head_->overflowed = true;
            return false;
        }
        record.content = bytes;
        if (record.length > 0) std::memcpy(bytes_.get() + bytes, content, record.length);
        records_[at] = record;
        head_->bytes = bytes + record.length;
        head_->records = at + 1;
        return true;
    }

    fs::path at_;
    std::vector<uint64_t> sizes_;
    std::vector<Descriptor> files_;
    Shared<Head> head_;
    Shared<Record> records_{most_records};
    Shared<char> bytes_{most_bytes};
    pid_t server_ = -1;
};

}  // namespace power
