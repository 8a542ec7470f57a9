// The table of checks, in parts.
#pragma once

#include <span>

#include "conformance.hpp"

namespace litbuild::conformance {

std::span<const Check> library_checks();
std::span<const Check> store_making_checks();     // create, find, teams
std::span<const Check> store_listing_checks();    // list
std::span<const Check> store_moving_checks();     // archive, restore, remove
std::span<const Check> store_content_checks();    // read, write_control, tags
std::span<const Check> store_hostile_checks();    // names that lead elsewhere
std::span<const Check> store_crowd_checks();      // several threads and processes at once
std::span<const Check> store_promise_checks();    // what outlives a kill, capabilities
std::span<const Check> store_later_checks();      // what was added since 1.0: examine, watch, age
std::span<const Check> store_note_checks();       // versions of a list, notes
std::span<const Check> status_checks();
std::span<const Check> process_checks();
std::vector<Check> edge_checks();                 // for each interface: sizes, texts, threads, manners

}  // namespace litbuild::conformance
