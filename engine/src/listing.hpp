// The builds of a team that a filter lets pass; what lists and what acts on many builds share.
#pragma once

#include <functional>

#include "core.hpp"

namespace litbuild::detail {

/// What is told of a build besides what the filter asks for.
enum class Reads { needed, everything };

using RunidTest = std::function<bool(int64_t runid)>;

/// Calls `each` with the builds that pass, the newest first, until the filter's limit, or the sink has enough. `among` (empty: all do) is asked
/// before anything is read of a build. One that is damaged, or gone meanwhile, hides no other.
void for_each_build(const Core &core, const std::string &team, const Filter &filter, const Call &call, Reads reads,
                    const RunidTest &among, const RowSink &each);

}  // namespace litbuild::detail
