// Opening what lies below a folder, and nothing else.
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <string>

#include <sys/stat.h>

#include <litbuild/linux/descriptor.hpp>

#include <folder-store/fs.hpp>

namespace litbuild::folder {

/// `automatic`: the kernel resolves a path in one step (openat2), where it can; otherwise component by component.
enum class Resolve { automatic, walk };

class PosixRoot {
public:
    /// Code::not_found: no such folder. `path` itself may be a symbolic link.
    PosixRoot(const std::string &path, Resolve resolve);

    /// Opens without following a link. Nothing: errno says why; ELOOP: a link stands in the way.
    /// On NFS names are asked of the server, which a client would remember for a minute, wrong ones and missing ones, too:
    /// those in the folder that the last one is in always, the others at most every `remembered`.
    linux_::Descriptor open(const Path &path, int flags) const;

    /// The same for what is no folder; where it is not there, whether the folder that it would be in is, at that moment.
    linux_::Descriptor open_file(const Path &path, int flags, bool &has_folder) const;

    /// On NFS: attributes are asked of the server, and may be forgotten by it (ESTALE) where somebody has removed the file.
    bool is_nfs() const noexcept { return is_nfs_; }
    static constexpr std::chrono::milliseconds remembered{50};

private:
    linux_::Descriptor open_parent(const Path &path) const;
    linux_::Descriptor resolve(int root, const std::string &path, int flags) const noexcept;
    linux_::Descriptor at_once(int root, const char *path, int flags) const noexcept;
    linux_::Descriptor walk(int root, const std::string &path, int flags) const noexcept;
    enum class Asked { lately, now };
    bool ask_for_names(int root, const std::string &path, Asked when) const;

    std::string path_;
    linux_::Descriptor fd_;
    bool walk_;
    bool is_nfs_;
    mutable std::mutex asked_mutex_;
    mutable std::map<std::string, Clock::time_point> asked_;
};

/// As fstat(), on NFS as the server has it.
int fresh_stat(int fd, struct stat &found) noexcept;

}  // namespace litbuild::folder
