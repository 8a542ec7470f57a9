// Reading and removing folders by descriptor.
#pragma once

#include <litbuild/linux/descriptor.hpp>

#include <folder-store/fs.hpp>

namespace litbuild::folder {

Kind kind_of_mode(unsigned mode) noexcept;

/// Every name but "." and ".."; `dir` is open for reading. Returns 0 or an errno.
int read_names(int dir, const NameSink &each);

/// All that is in a folder that is open for reading, however deep; links are not followed, folders are made writable where
/// they are not. Stops at what is mounted (EXDEV). Returns 0 or an errno, and then `where` is what it could not remove.
/// Throws Code::cancelled and Code::timeout, starting with `object`.
int remove_content(const Call &call, linux_::Descriptor dir, const std::string &object, std::string &where);

/// A name in a folder, whatever it is; as remove_content().
int remove_entry(const Call &call, int dir, const std::string &name, const std::string &object, std::string &where);

}  // namespace litbuild::folder
