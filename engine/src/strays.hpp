// What the process controller holds that no build needs.
#pragma once

#include "core.hpp"

namespace litbuild::detail {

/// Of a team, or of all (empty). Nothing where the controller cannot tell. Repair::yes removes what by the rules of its own
/// launch should be gone; what is alive, or of a build that another root may have, is only told.
std::vector<TeamFinding> examine_held(const Core &core, const Call &call, const std::string &team, Repair repair);

}  // namespace litbuild::detail
