// Opening what lies below a folder, and nothing else.
#pragma once

#include <string>

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
    linux_::Descriptor open(const Path &path, int flags) const noexcept;

private:
    linux_::Descriptor at_once(const char *path, int flags) const noexcept;
    linux_::Descriptor walk(const std::string &path, int flags) const noexcept;

    linux_::Descriptor fd_;
    bool walk_;
};

}  // namespace litbuild::folder
