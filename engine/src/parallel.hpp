// Many small things at once.
#pragma once

#include <functional>

namespace litbuild::detail {

/// Calls `each` with 0 to `count` - 1, in any order, several at a time, this thread included. What one throws is thrown here
/// when all that have begun are over; no more are begun then.
void in_parallel(size_t count, const std::function<void(size_t index)> &each);

}  // namespace litbuild::detail
