// status.json, events.jsonl and .control/stopped of one build, each of them anything: three pieces of the input.
#include <boost/json.hpp>

#include <litbuild/engine.hpp>

#include <folder-store/run_status.hpp>

#include "../target.hpp"

using namespace litbuild;

FUZZ_TARGET(status)
{
    const std::string_view snapshot = fuzz::next_piece(input), events = fuzz::next_piece(input), verdict = fuzz::next_piece(input);
    const auto read = [&](const Call &, const BuildName &, std::string_view name, uint64_t offset, uint64_t max, const TextSink &sink) {
        const std::string_view file = name == "status.json" ? snapshot : name == "events.jsonl" ? events : verdict;
        if (file.empty()) throw Error(Code::not_found, "no such file");
        if (offset >= file.size()) return;
        std::string_view rest = file.substr(offset, max == 0 ? file.npos : max);
        while (!rest.empty() && sink(rest.substr(0, 100))) rest.remove_prefix(std::min<size_t>(rest.size(), 100));
    };
    folder::RunStatus source(read);
    const BuildName build{"contoso", 1};
    const Status found = source.status(Call(), build);
    fuzz::must(found.state != State::lost, "what is derived is not written");
    fuzz::must(!found.current_step || *found.current_step < found.steps.size(), "the current step is one of the steps");
    fuzz::must(!found.progress || (*found.progress >= 0 && *found.progress <= 1), "progress is 0 to 1");
    Summary summary;
    summary.name = build;
    summary.status = found;
    boost::json::parse(to_json(summary));
    if (!found.detail.empty()) fuzz::must(boost::json::parse(found.detail).is_object(), "detail is an object");

    uint64_t cursor = 0;
    source.poll(Call::within(std::chrono::nanoseconds(1)), build, 0, [&](const Event &event) {
        fuzz::must(event.cursor > cursor && event.cursor <= events.size(), "cursors grow");
        fuzz::must(boost::json::parse(event.json).is_object(), "an event is an object");
        cursor = event.cursor;
        return true;
    });
}
