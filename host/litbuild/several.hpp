// Commands on several builds: which ones the words name, and a line for each.
#pragma once

#include <atomic>
#include <functional>

#include "commands.hpp"

namespace litbuild::cli {

/// TEAM and one run id, with nothing to choose by: the command is about this build alone.
bool names_one(const Options &options);
/// What the run ids, the ranges and the filter of a command name; Code::invalid where they name nothing.
Selection to_selection(const Options &options, const char *command);

/// What was done, or would be, to each build.
enum class Deed { stopped, archived, restored, removed, tagged, would_be_archived, would_be_removed };

/// Prints the results as they come and keeps the worst of their exit statuses, which is the highest.
class Report {
public:
    Report(const Options &options, Deed deed) : json_(options.json), deed_(deed) {}

    void add(const BulkResult &result);
    BulkSink sink()
    {
        return [this](const BulkResult &result) { add(result); };
    }
    size_t count() const noexcept { return count_; }
    int exit() const noexcept { return exit_; }

private:
    std::string success(const BulkResult &result) const;

    bool json_;
    Deed deed_;
    std::atomic<size_t> count_{0};
    int exit_ = Exit::done;
};

/// For what may copy and delete for long: can be interrupted, and shows at a terminal how far it is. The report, which must
/// outlive the call, counts the builds that came before.
Call long_call(const std::string &what, const Report &report);

/// Complains about what a stop left; returns the exit status.
int complain_of(const BuildName &build, const StopResult &result);

}  // namespace litbuild::cli
