// Time for what has to be put right when a call has ended.
#pragma once

#include <litbuild/call.hpp>

namespace litbuild::folder {

/// The call; where it is cancelled or at its deadline, one of its own that ends soon: a file server that does not answer
/// then is not waited for.
inline Call afterwards(const Call &call)
{
    constexpr std::chrono::milliseconds moment(200);
    return call.cancelled() || call.left(moment) < moment ? Call::within(moment) : call;
}

}  // namespace litbuild::folder
