// Reading the notes of a team's index, which are there or not.
#pragma once

#include "core.hpp"

namespace litbuild::detail {

/// What ended it was the call, and not what it asked for.
bool is_over(const Call &call, const Error &error);
/// Empty where there is none, or none that can be read. Throws where the call is over.
std::string text_of_note(const Core &core, const Call &call, const std::string &team, const std::string &note);

}  // namespace litbuild::detail
