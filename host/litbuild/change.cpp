// stop, archive, restore, remove, path and tags: what is done to builds.
#include <boost/json.hpp>

#include "several.hpp"
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

using Action = std::function<void(const Engine &, const Selection &, const BulkSink &)>;

int in_bulk(const Options &options, const Selection &which, Report &report, const Action &action)
{
    action(open_engine(options), which, report.sink());
    // It may well be that nothing was left to do; but a tag is also easily misspelt.
    if (report.count() == 0) complain(options.team + ": no build matches");
    return report.exit();
}

StopOptions to_stop(const Options &options)
{
    StopOptions out;
    if (options.grace) out.grace = to_duration(*options.grace);
    out.reason = options.reason.value_or("");
    if (!is_utf8(out.reason)) throw Error(Code::invalid, "--reason: " + quote(out.reason) + " is not UTF-8");
    return out;
}

}  // namespace

int stop(const Options &options)
{
    const StopOptions how = to_stop(options);
    if (!names_one(options)) {
        Report report(options, Deed::stopped);
        return in_bulk(options, to_selection(options, "stop"), report,
                       [&](const Engine &engine, const Selection &which, const BulkSink &each) {
                           engine.stop(options.team, which, how, each);
                       });
    }
    const Build build = named_build(options);
    const BuildName name = {build.team(), build.runid()};
    const StopResult result = build.stop(how);
    const int exit = complain_of(name, result);
    if (options.json) print(to_json(result, name) + "\n");
    else if (exit == Exit::done) print(result.message + "\n");
    return exit;
}

int archive(const Options &options)
{
    Report report(options, Deed::archived);
    if (!names_one(options))
        return in_bulk(options, to_selection(options, "archive"), report,
                       [&](const Engine &engine, const Selection &which, const BulkSink &each) {
                           engine.archive(options.team, which, each, long_call(options.team, report));
                       });
    const Build build = named_build(options);
    print_place(build, build.archive(long_call(options.team + "/" + options.ids.front(), report)), options.json);
    return Exit::done;
}

int restore(const Options &options)
{
    Report report(options, Deed::restored);
    if (!names_one(options))
        return in_bulk(options, to_selection(options, "restore"), report,
                       [&](const Engine &engine, const Selection &which, const BulkSink &each) {
                           engine.restore(options.team, which, each, long_call(options.team, report));
                       });
    const Build build = named_build(options);
    print_place(build, build.restore(long_call(options.team + "/" + options.ids.front(), report)), options.json);
    return Exit::done;
}

int remove(const Options &options)
{
    Report report(options, Deed::removed);
    return in_bulk(options, to_selection(options, "remove"), report,
                   [&](const Engine &engine, const Selection &which, const BulkSink &each) {
                       engine.remove(options.team, which, each, long_call(options.team, report));
                   });
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
    if (!names_one(options)) {
        Report report(options, Deed::tagged);
        return in_bulk(options, to_selection(options, "tags"), report,
                       [&](const Engine &engine, const Selection &which, const BulkSink &each) {
                           engine.edit_tags(options.team, which, options.add, options.remove, each);
                       });
    }
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
