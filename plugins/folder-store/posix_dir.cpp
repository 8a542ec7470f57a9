#include <folder-store/posix_dir.hpp>

#include <cerrno>
#include <memory>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <litbuild/linux/descriptor.hpp>

namespace litbuild::folder {

namespace {

constexpr size_t buffer_size = 256 * 1024;
constexpr int deepest = 64;

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

int remove_content(int dir, int depth)
{
    if (depth > deepest) return ELOOP;
    std::vector<std::pair<std::string, Kind>> names;
    const int failed = read_names(dir, [&](std::string_view name, Kind kind) {
        names.emplace_back(name, kind);
        return true;
    });
    if (failed != 0) return failed;
    for (const auto &[name, kind] : names) {
        if (kind == Kind::folder) {
            const linux_::Descriptor below(
                ::openat(dir, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
            if (!below && errno != ENOENT) return errno;
            if (const int error = below ? remove_content(below.get(), depth + 1) : 0; error != 0) return error;
        }
        if (::unlinkat(dir, name.c_str(), kind == Kind::folder ? AT_REMOVEDIR : 0) != 0 && errno != ENOENT)
            return errno;
    }
    return 0;
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

int remove_content(int dir) { return remove_content(dir, 0); }

}  // namespace litbuild::folder
