// From a selection to the run ids that it comes to.
#pragma once

#include <vector>

#include "core.hpp"

namespace litbuild::detail {

/// In order, each once. However wide a range is, only what is there is looked at. Throws what concerns all: see Engine.
std::vector<int64_t> selected(const Core &core, const std::string &team, const Selection &which, const Call &call);

}  // namespace litbuild::detail
