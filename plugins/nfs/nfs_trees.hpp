// Whole trees on a server.
#pragma once

#include <string>

#include <folder-store/fs.hpp>

#include <nfs/client.hpp>

namespace litbuild::nfs {

using folder::TreeFault;

/// Number and bytes of all that is in a tree. EXDEV: something is mounted in it.
TreeFault measure_tree(Client &client, const Node &top, const std::string &object, folder::TreeSize &size);
/// All that is in a folder; folders that may not be written to are made writable.
TreeFault clear_tree(Client &client, const Node &top, const std::string &object);
/// See Fs::copy_tree.
TreeFault copy_tree(Client &client, const Node &from, const Node &to, const std::string &object,
                    const folder::Told &told);
/// See Fs::same_tree.
TreeFault compare_trees(Client &client, const Node &a, const Node &b, folder::Compare what, const std::string &object,
                        const folder::Told &told, bool &same);

}  // namespace litbuild::nfs
