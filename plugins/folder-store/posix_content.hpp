// The content of files, with its holes.
#pragma once

#include <litbuild/call.hpp>

#include <folder-store/fs.hpp>

namespace litbuild::folder {

/// Copies `size` bytes into a new file; holes stay holes, and blocks are shared where the file system can. 0 or an errno.
/// Looks at the call after each MiB; its errors start with `object`.
int copy_content(const Call &call, int from, int to, uint64_t size, const std::string &object, const Told &told);

/// Compares `size` bytes. 0 or an errno.
int compare_content(const Call &call, int a, int b, uint64_t size, const std::string &object, const Told &told,
                    bool &same);

}  // namespace litbuild::folder
