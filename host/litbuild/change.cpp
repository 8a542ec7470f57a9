// stop, archive, restore, path and tags: what is done to a build.
#include <boost/json.hpp>

#include "commands.hpp"
#include "text.hpp"

namespace litbuild::cli {
namespace {

namespace json = boost::json;

void print_place(const Build &build, const std::filesystem::path &folder, bool as_json)
{
    if (!as_json) {
        print(folder.string() + "\n");
        return;
    }
    const Summary now = build.summary();
    print(json::serialize(json::object{{"team", build.team()},
                                       {"runid", build.runid()},
                                       {"path", as_utf8(folder.string())},
                                       {"archived", now.archived}}) + "\n");
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

int stop(const Options &options)
{
    StopOptions how;
    if (options.grace) how.grace = to_duration(*options.grace);
    how.reason = options.reason.value_or("");
    if (!is_utf8(how.reason)) throw Error(Code::invalid, "--reason: " + quote(how.reason) + " is not UTF-8");
    const Build build = named_build(options);
    const StopResult result = build.stop(how);
    const int exit = exit_of(result.outcome);
    const std::string object = to_string(BuildName{build.team(), build.runid()});
    if (exit != Exit::done) complain(object + ": " + result.message);
    for (const ProcessInfo &survivor : result.report.survivors) complain(object + ": " + as_sentence(survivor));
    if (options.json) print(to_json(result, {build.team(), build.runid()}) + "\n");
    else if (exit == Exit::done) print(result.message + "\n");
    return exit;
}

int archive(const Options &options)
{
    const Build build = named_build(options);
    print_place(build, build.archive(), options.json);
    return Exit::done;
}

int restore(const Options &options)
{
    const Build build = named_build(options);
    print_place(build, build.restore(), options.json);
    return Exit::done;
}

int path(const Options &options)
{
    const Build build = named_build(options);
    print_place(build, build.path(), options.json);
    return Exit::done;
}

int tags(const Options &options)
{
    for (const std::string &tag : options.add) check_tag(tag);
    for (const std::string &tag : options.remove) check_tag(tag);
    const Build build = named_build(options);
    const bool edits = !options.add.empty() || !options.remove.empty();
    const std::vector<std::string> now = edits ? build.edit_tags(options.add, options.remove) : build.tags();
    std::string out;
    if (options.json) out = json::serialize(json::value_from(now)) + "\n";
    else for (const std::string &tag : now) out += escaped(tag) + "\n";
    print(out);
    return Exit::done;
}

}  // namespace litbuild::cli
