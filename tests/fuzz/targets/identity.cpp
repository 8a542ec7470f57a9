// build.json, by all who read it: the engine for a build that nobody has started yet, `stop` for the plan, the runner.
#include <boost/json.hpp>

#include <litbuild/engine.hpp>

#include "core.hpp"
#include "setup.hpp"
#include "spec.hpp"

#include "../folder.hpp"

using namespace litbuild;

FUZZ_TARGET(identity)
{
    static const fuzz::Folder folder;
    static const std::string queued = R"({"seq":1,"time":"2026-01-01T00:00:00Z","type":"queued","state":"queued","steps":["a"]})";
    folder.put("contoso/logs/7/events.jsonl", queued + "\n");
    folder.put("contoso/logs/7/build.json", input);
    static const Engine engine({.root = folder.path()});
    const Build build = engine.build("contoso", 7);
    const Status status = build.get_status();
    fuzz::must(status.state == State::queued || status.state == State::lost, "it is queued, or nobody is left to start it");

    boost::system::error_code error;
    const boost::json::value document = boost::json::parse(input, error);
    try {
        if (!error) detail::plan_from_json(document.at("spec").at("stop"));
    } catch (const std::exception &) {
        // As its caller does.
    }
    try {
        runner::Setup setup;
        runner::read_spec(setup, (folder.path() / "contoso/logs/7").string());
        std::chrono::nanoseconds whole(0);
        for (const StopStep &step : setup.stop) whole += step.grace;
        for (const runner::StepSpec &step : setup.steps) fuzz::must(!step.command.empty(), "a step has a command");
    } catch (const Error &e) {
        fuzz::must(e.code() == Code::corrupt, "a damaged document is called damaged");
    }
}
