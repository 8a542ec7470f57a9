#include "several.hpp"

#include <algorithm>

#include <boost/json.hpp>

#include "interrupt.hpp"
#include "progress.hpp"
#include "text.hpp"

namespace litbuild::cli {
namespace {

namespace json = boost::json;

/// As they stand in JSON, in the order of Deed.
constexpr const char *words[] = {"stopped", "archived", "restored", "removed", "tagged", "would_be_archived",
                                 "would_be_removed"};

Selection::Runs to_runs(const std::string &word)
{
    const size_t dash = word.find('-', 1);
    const std::optional<int64_t> first = parse_runid(std::string_view(word).substr(0, dash));
    if (first && dash == std::string::npos) return {*first, 0};
    std::optional<int64_t> last;
    if (dash < word.size()) last = parse_runid(std::string_view(word).substr(dash + 1));
    if (!first || !last)
        throw Error(Code::invalid,
                    quote(word) + ": not a run id; a run id is a whole number above 0, a range is such as 10-40");
    if (*last < *first)
        throw Error(Code::invalid, quote(word) + ": ends before it starts; a range is such as 10-40");
    return {*first, *last};
}

json::object names(const BulkResult &result)
{
    return {{"team", result.build.team}, {"runid", result.build.runid}};
}

std::string as_sentence(const ProcessInfo &survivor)
{
    std::string out = "process " + std::to_string(survivor.pid) + " lives on: " + quote(survivor.command);
    if (survivor.state != '\0') out += ", state " + std::string(1, survivor.state);
    if (!survivor.where.empty()) out += ", in " + survivor.where;
    if (!survivor.doubt.empty()) out += "; " + survivor.doubt;
    return out;
}

int exit_of(StopResult::Outcome outcome)
{
    switch (outcome) {
    case StopResult::Outcome::stopped:
    case StopResult::Outcome::already_finished: return Exit::done;
    case StopResult::Outcome::requested: return Exit::unavailable;
    case StopResult::Outcome::incomplete: return Exit::refused;
    }
    return Exit::broken;
}

}  // namespace

bool names_one(const Options &options)
{
    return options.ids.size() == 1 && !options.tag && !options.state && parse_runid(options.ids.front());
}

Selection to_selection(const Options &options, const char *command)
{
    check_team(options.team);
    Selection out;
    for (const std::string &word : options.ids) out.runs.push_back(to_runs(word));
    if (options.tag || options.state) {
        Filter filter;
        if (options.archived) filter.scope = Scope::archived;
        if (options.all) filter.scope = Scope::all;
        filter.tag = options.tag;
        if (options.tag) check_tag(*options.tag);
        if (options.state) filter.state = to_state(*options.state);
        out.filter = filter;
    } else if (options.archived || options.all) {
        throw Error(Code::invalid, std::string(command) + ": --archived and --all go with --tag or --state");
    }
    if (out.runs.empty() && !out.filter)
        throw Error(Code::invalid,
                    std::string(command) + ": names no build; give run ids, ranges such as 10-40, --tag or --state");
    return out;
}

std::string Report::success(const BulkResult &result) const
{
    const std::string object = to_string(result.build) + ": ";
    if (result.stop) {
        if (json_) return to_json(*result.stop, result.build) + "\n";
        const bool finished = result.stop->outcome == StopResult::Outcome::already_finished;
        return object + (finished ? "already finished" : "stopped") + "\n";
    }
    std::string word = words[static_cast<size_t>(deed_)];
    if (!json_) {
        if (deed_ == Deed::tagged) word = joined(result.tags);
        else std::replace(word.begin(), word.end(), '_', ' ');
        return object + word + "\n";
    }
    json::object out = names(result);
    out["outcome"] = word;
    if (deed_ == Deed::tagged) out["tags"] = json::value_from(result.tags);
    else if (!result.path.empty()) out["path"] = as_utf8(result.path.string());
    return json::serialize(out) + "\n";
}

void Report::add(const BulkResult &result)
{
    ++count_;
    int exit = Exit::done;
    if (result.error) {
        exit = exit_status(result.error->code());
        complain(result.error->what());
        if (json_) {
            json::object out = names(result);
            out["outcome"] = "error";
            out["code"] = name(result.error->code());
            out["error"] = as_utf8(result.error->what());
            print(json::serialize(out) + "\n");
        }
    } else if (result.stop) {
        exit = complain_of(result.build, *result.stop);
        if (exit == Exit::done || json_) print(success(result));
    } else {
        print(success(result));
    }
    exit_ = std::max(exit_, exit);
}

Call long_call(const std::string &what, const Report &report)
{
    return interruptible_call().on_progress([what, &report](uint64_t done, uint64_t total) {
        const size_t before = report.count();
        show_progress(what + (before > 0 ? ", " + std::to_string(before) + " done" : ""), done, total);
    });
}

int complain_of(const BuildName &build, const StopResult &result)
{
    const std::string object = to_string(build);
    const int exit = exit_of(result.outcome);
    if (exit != Exit::done) complain(object + ": " + result.message);
    for (const ProcessInfo &survivor : result.report.survivors) complain(object + ": " + as_sentence(survivor));
    return exit;
}

}  // namespace litbuild::cli
