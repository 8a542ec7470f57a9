// The two ways to a root on a file server: a mount of this host, or the server itself.
#pragma once

#include <memory>
#include <string_view>

#include <folder-store/fs.hpp>

namespace litbuild::nfs {

enum class Purpose { open, check };

/// What the configuration asks for. Null: it names no root, which a status source need not; or it was only to be checked.
/// Code::invalid: not understood.
std::unique_ptr<folder::Fs> open_root(std::string_view config, Purpose purpose);

}  // namespace litbuild::nfs
