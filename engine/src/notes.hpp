// Reading the notes of a team's index, which are there or not.
#pragma once

#include "core.hpp"

namespace litbuild::detail {

/// What ended it was the call, and not what it asked for.
bool is_over(const Call &call, const Error &error);
/// Gives the pieces of a note to the sink. False: there is none, or none that can be read, and what was given is no whole one.
/// Throws where the call is over.
bool read_note(const Core &core, const Call &call, const std::string &team, const std::string &note, const TextSink &sink);
/// Empty where there is none, or none that can be read. Throws where the call is over.
std::string text_of_note(const Core &core, const Call &call, const std::string &team, const std::string &note);

}  // namespace litbuild::detail
