// From an endpoint to a connected socket.
#pragma once

#include <litbuild/call.hpp>
#include <litbuild/linux/descriptor.hpp>

#include "endpoint.hpp"

namespace service {

/// Throws Unreachable, Code::denied, or what Call::check throws.
litbuild::linux_::Descriptor connect(const litbuild::Call &call, const Endpoint &endpoint);

}  // namespace service
