// What every call on several builds keeps to: one build's failure is its result, what concerns all is thrown.
#pragma once

#include <functional>

#include "core.hpp"

namespace litbuild::detail {

/// Runs the action on one build; its error goes into the result. False: the call has been cancelled.
bool run_one(BulkResult &result, const Call &call, const std::function<void()> &action);
/// "contoso: cancelled; 3 of 12 builds had been done"
Error cancelled(const std::string &team, size_t done, size_t of);

}  // namespace litbuild::detail
