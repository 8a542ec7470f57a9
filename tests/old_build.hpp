// Builds that ended long ago, or that nobody ever ended, without waiting for either.
#pragma once

#include "support.hpp"

namespace support {

/// A build in the main list of a team as the runner would have left it; `age` is how long ago it was last heard of.
inline fs::path old_build(const fs::path &root, int64_t runid, litbuild::State state, std::chrono::hours age,
                          const std::string &tags = "", const std::string &team = "contoso")
{
    const fs::path folder = root / team / "logs" / std::to_string(runid);
    const std::string then = litbuild::to_rfc3339(
        litbuild::now() - std::chrono::duration_cast<std::chrono::nanoseconds>(age).count());
    boost::json::object status = {{"seq", 1}, {"offset", 0}, {"state", name(state)}, {"time", then}, {"created", then},
                                  {"started", then}, {"ended", then}, {"steps", boost::json::array()}};
    if (!is_terminal(state)) status["ended"] = nullptr;
    spill(folder / "build.json", R"({"uuid": "00000000-0000-4000-8000-)" + std::to_string(100000000000 + static_cast<uint64_t>(runid) % 100000000000) + "\"}\n");
    spill(folder / "status.json", boost::json::serialize(status) + "\n");
    if (!tags.empty()) spill(folder / "tags", tags + "\n");
    return folder;
}

}  // namespace support
