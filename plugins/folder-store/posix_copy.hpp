// A tree of folders, copied and compared.
#pragma once

#include <string>

#include <litbuild/linux/descriptor.hpp>

#include <folder-store/fs.hpp>

namespace litbuild::folder {

/// Number and bytes of all that is in a tree. EXDEV: something is mounted in it.
TreeFault measure_tree(const Call &call, linux_::Descriptor top, const std::string &object, TreeSize &size);

/// Makes the folder `to` what the folder `from` is. See Fs::copy_tree. `links`: an empty folder on the file system of
/// `to`, which is used for hard links and left behind.
TreeFault copy_tree(const Call &call, linux_::Descriptor from, linux_::Descriptor to, linux_::Descriptor links,
                    const std::string &object, const Told &told);

/// See Fs::same_tree.
TreeFault compare_trees(const Call &call, linux_::Descriptor a, linux_::Descriptor b, Compare what,
                        const std::string &object, const Told &told, bool &same);

}  // namespace litbuild::folder
