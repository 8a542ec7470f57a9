// Reading and removing folders by descriptor.
#pragma once

#include <folder-store/fs.hpp>

namespace litbuild::folder {

Kind kind_of_mode(unsigned mode) noexcept;

/// Every name but "." and ".."; `dir` is open for reading. Returns 0 or an errno.
int read_names(int dir, const NameSink &each);

/// All that is in `dir`, links not followed. Returns 0 or an errno.
int remove_content(int dir);

}  // namespace litbuild::folder
