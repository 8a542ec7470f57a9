#include <folder-store/posix_content.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace litbuild::folder {

namespace {

constexpr uint64_t piece = 1024 * 1024;
// Written out while the copy goes on, so that the sync at the end has little left to wait for.
constexpr uint64_t ahead = 16 * piece;

struct Range {
    uint64_t begin, end;
    int error = 0;   // errno; where it is not 0, the range means nothing
};

// The next bytes at or behind `offset` that are in no hole; an empty range at `size` where there are none.
Range next_data(int fd, uint64_t offset, uint64_t size) noexcept
{
    const auto cannot_tell = [] { return errno == EINVAL || errno == EOPNOTSUPP; };
    const off_t begin = ::lseek(fd, static_cast<off_t>(offset), SEEK_DATA);
    if (begin < 0 && errno == ENXIO) return {size, size};
    if (begin < 0) return {offset, size, cannot_tell() ? 0 : errno};
    const off_t end = ::lseek(fd, begin, SEEK_HOLE);
    const uint64_t first = std::min(static_cast<uint64_t>(begin), size);
    // It has become shorter meanwhile, which the comparison will tell.
    if (end < 0 && errno == ENXIO) return {first, size};
    if (end < 0) return {first, size, cannot_tell() ? 0 : errno};
    return {first, std::min(static_cast<uint64_t>(end), size)};
}

ssize_t read_at(int fd, char *to, uint64_t size, uint64_t offset) noexcept
{
    uint64_t got = 0;
    while (got < size) {
        const ssize_t more = ::pread(fd, to + got, size - got, static_cast<off_t>(offset + got));
        if (more < 0 && errno == EINTR) continue;
        if (more < 0) return -1;
        if (more == 0) break;
        got += static_cast<uint64_t>(more);
    }
    return static_cast<ssize_t>(got);
}

int write_at(int fd, const char *from, uint64_t size, uint64_t offset) noexcept
{
    while (size > 0) {
        const ssize_t put = ::pwrite(fd, from, size, static_cast<off_t>(offset));
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return errno;
        from += put;
        size -= static_cast<uint64_t>(put);
        offset += static_cast<uint64_t>(put);
    }
    return 0;
}

// Between two files: in the kernel as long as it can, then by hand.
class Carrier {
public:
    Carrier(int from, int to) noexcept : from_(from), to_(to) {}

    /// The number of bytes, 0 at the end of the source; -1: errno.
    ssize_t carry(uint64_t offset, uint64_t size)
    {
        while (in_kernel_) {
            auto in = static_cast<off_t>(offset), out = in;
            const ssize_t done = ::copy_file_range(from_, &in, to_, &out, size, 0);
            if (done > 0) return done;
            if (done < 0 && errno == EINTR) continue;
            if (done < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EIO)) return -1;
            // Two file systems, an old kernel, one that says 0 for a file it does not know the size of.
            in_kernel_ = false;
        }
        if (!buffer_) buffer_ = std::make_unique_for_overwrite<char[]>(piece);
        const ssize_t got = read_at(from_, buffer_.get(), size, offset);
        if (got <= 0) return got;
        if (const int error = write_at(to_, buffer_.get(), static_cast<uint64_t>(got), offset); error != 0) {
            errno = error;
            return -1;
        }
        return got;
    }

private:
    int from_, to_;
    bool in_kernel_ = true;
    std::unique_ptr<char[]> buffer_;
};

}  // namespace

int copy_content(const Call &call, int from, int to, uint64_t size, const std::string &object, const Told &told)
{
    if (size > 0 && ::ioctl(to, FICLONE, from) == 0) {
        told(size);
        return 0;
    }
    Carrier carrier(from, to);
    uint64_t at = 0, started = 0;
    while (at < size) {
        const Range data = next_data(from, at, size);
        if (data.error != 0) return data.error;
        told(data.begin - at);
        at = data.begin;
        while (at < data.end) {
            call.check(object);
            const ssize_t done = carrier.carry(at, std::min(piece, data.end - at));
            if (done < 0) return errno;
            // It has become shorter: the comparison will tell.
            if (done == 0) return ::ftruncate(to, static_cast<off_t>(at)) == 0 ? 0 : errno;
            at += static_cast<uint64_t>(done);
            told(static_cast<uint64_t>(done));
            if (at - started < ahead) continue;
            (void)::sync_file_range(to, static_cast<off_t>(started), static_cast<off_t>(at - started),
                                    SYNC_FILE_RANGE_WRITE);
            started = at;
        }
    }
    return ::ftruncate(to, static_cast<off_t>(size)) == 0 ? 0 : errno;
}

int compare_content(const Call &call, int a, int b, uint64_t size, const std::string &object, const Told &told,
                    bool &same)
{
    std::unique_ptr<char[]> buffer;
    same = true;
    uint64_t at = 0;
    while (at < size) {
        call.check(object);
        // Where both have a hole there is nothing to compare.
        const Range of_one = next_data(a, at, size), of_other = next_data(b, at, size);
        if (of_one.error != 0 || of_other.error != 0) return of_one.error != 0 ? of_one.error : of_other.error;
        const uint64_t begin = std::min(of_one.begin, of_other.begin);
        told(begin - at);
        at = begin;
        if (at == size) return 0;
        if (!buffer) buffer = std::make_unique_for_overwrite<char[]>(2 * piece);
        const uint64_t want = std::min(piece, size - at);
        const ssize_t of_a = read_at(a, buffer.get(), want, at);
        const ssize_t of_b = of_a < 0 ? -1 : read_at(b, buffer.get() + piece, want, at);
        if (of_a < 0 || of_b < 0) return errno;
        same = of_a == of_b && static_cast<uint64_t>(of_a) == want &&
               std::memcmp(buffer.get(), buffer.get() + piece, want) == 0;
        if (!same) return 0;
        at += want;
        told(want);
    }
    return 0;
}

}  // namespace litbuild::folder
