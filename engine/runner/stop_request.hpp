// What somebody wrote who wants the build stopped: the content of a file `.control/stop.*`.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <litbuild/process.hpp>

namespace runner {

struct StopRequest {
    std::string by;
    std::string reason;
    litbuild::StopPlan plan;   ///< empty: none that ends with a kill; the build's own counts
};

/// None: it is no request, or not written to its end.
std::optional<StopRequest> parse_stop_request(std::string_view text);

}  // namespace runner
