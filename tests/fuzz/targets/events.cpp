// events.jsonl: lines, in whatever pieces they come, records, and the status that they lead to.
#include <boost/json.hpp>

#include <litbuild/engine.hpp>

#include <folder-store/fold.hpp>

#include "../target.hpp"

using namespace litbuild;

namespace {

std::string json_of(const Status &status)
{
    Summary summary;
    summary.name = {"contoso", 1};
    summary.status = status;
    return to_json(summary);
}

std::string fold_of(std::string_view file, size_t piece)
{
    folder::Fold fold;
    folder::Lines lines(0);
    uint64_t before = 0;
    for (size_t at = 0; at < file.size(); at += piece) {
        lines.feed(file.substr(at, piece), [&](std::string_view line, uint64_t end) {
            fuzz::must(end > before && end <= file.size() && file[end - 1] == '\n', "a line ends behind the one before, with its end");
            fuzz::must(line.find('\n') == line.npos, "a line holds no end of a line");
            before = end;
            if (const auto record = folder::parse_record(line)) fold.add(*record, end);
            return true;
        });
    }
    const Status status = fold.result();
    fuzz::must(!status.current_step || *status.current_step < status.steps.size(), "the current step is one of the steps");
    fuzz::must(!status.progress || (*status.progress >= 0 && *status.progress <= 1), "progress is 0 to 1");
    fuzz::must(status.steps.size() <= folder::most_steps, "not too many steps");
    for (size_t i = 0; i < status.steps.size(); ++i) fuzz::must(status.steps[i].parent < static_cast<int>(i), "a part stands behind what it is a part of");
    const std::string text = json_of(status);
    boost::json::parse(text);
    return text;
}

}  // namespace

FUZZ_TARGET(events)
{
    const std::string whole = fold_of(input, std::max<size_t>(input.size(), 1));
    fuzz::must(whole == fold_of(input, 7), "the pieces that a file comes in make no difference");
}
