// Which builds a team has, at one moment: names and places, nothing that would have to be read of them.
#pragma once

#include <unordered_map>
#include <vector>

#include "segment.hpp"

namespace litbuild::detail {

struct Core;

class Roll {
public:
    /// Of the filter's scope, below its `before`, the newest `limit` (0: all). From a note, where the store's lists are still as
    /// they were when that was written.
    Roll(const Core &core, const Call &call, const std::string &team, const Filter &filter, uint64_t limit);

    /// From high run ids to low; once.
    std::vector<Name> take_names() noexcept { return std::move(names_); }
    /// Where its folder is.
    void path(const Name &name, std::filesystem::path &out) const;

private:
    bool remembered(const Call &call, const std::string &note, const std::string &version, const Filter &filter, uint64_t limit);
    bool find_folders(const Call &call);
    void ask(const Call &call, const Filter &filter, uint64_t limit);

    const Core &core_;
    const std::string &team_;
    std::vector<Name> names_;
    std::string live_, archived_;                      // the folders that builds are in, with the '/'
    std::unordered_map<int64_t, std::string> others_;  // paths of those that are elsewhere
};

}  // namespace litbuild::detail
