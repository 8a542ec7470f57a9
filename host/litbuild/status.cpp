// status and wait: how it is with a build.
#include <boost/json.hpp>

#include "commands.hpp"
#include "text.hpp"

namespace litbuild::cli {
namespace {

/// "label     value", the values below each other; nothing where there is no value.
void line(std::string &out, std::string_view label, const std::string &value, Colour colour = Colour::none)
{
    if (value.empty() || value == "-") return;
    out += coloured(label, Colour::dim);
    out.append(12 - label.size(), ' ');
    out += coloured(value, colour) + "\n";
}

std::string took(State state, Timestamp started, Timestamp ended)
{
    return ended == 0 && !is_active(state) ? "-" : time_taken(started, ended);
}

/// The steps in order, the parts of each indented beneath it.
class StepTable {
public:
    explicit StepTable(const std::vector<Step> &steps)
        : steps_(steps), parts_(steps.size()), table_({"STEP", "STATE", "TOOK", "EXIT", "PROGRESS"})
    {
        std::vector<size_t> tops;
        for (size_t i = 0; i < steps.size(); ++i) {
            // A parent that does not stand before its part would make a circle.
            const bool part = steps[i].parent >= 0 && static_cast<size_t>(steps[i].parent) < i;
            (part ? parts_[static_cast<size_t>(steps[i].parent)] : tops).push_back(i);
        }
        for (const size_t top : tops) add(top, 0);
    }
    std::string text() const { return table_.text(); }

private:
    void add(size_t index, size_t depth)
    {
        const Step &step = steps_[index];
        // Deeper than anyone reads, and no deeper than the stack.
        std::string shown(2 * std::min<size_t>(depth, 20), ' ');
        shown += escaped(step.name);
        table_.add({shown, Cell(name(step.state), colour_of(step.state)), took(step.state, step.started, step.ended),
                    exit_text(step.exit_code, step.signal), percent(step.progress)});
        if (depth == 1000) return;
        for (const size_t part : parts_[index]) add(part, depth + 1);
    }

    const std::vector<Step> &steps_;
    std::vector<std::vector<size_t>> parts_;
    Table table_;
};

/// Where it runs, as its controller told the runner.
std::string place_of(const Status &status)
{
    boost::system::error_code error;
    const boost::json::value detail = boost::json::parse(status.detail.empty() ? "{}" : status.detail, error);
    const boost::json::value *place = !error && detail.is_object() ? detail.as_object().if_contains("place") : nullptr;
    return place && place->is_string() ? std::string(place->as_string()) : std::string();
}

std::string as_text(const Summary &build)
{
    const Status &now = build.status;
    std::string out;
    line(out, "build", to_string(build.name) + (build.archived ? " (archived)" : ""), Colour::bold);
    line(out, "path", escaped(build.path.string()));
    line(out, "state", name(now.state), colour_of(now.state));
    line(out, "time", local_time(now.time));
    line(out, "started", local_time(now.started));
    line(out, "took", took(now.state, now.started, now.ended));
    line(out, "step", escaped(now.step().value_or("")));
    line(out, "place", escaped(place_of(now)));
    line(out, "progress", percent(now.progress));
    line(out, "message", escaped(now.message));
    line(out, "exit", exit_text(now.exit_code, now.signal));
    line(out, "error", escaped(now.error), Colour::red);
    line(out, "stopped by", escaped(now.stopped_by));
    line(out, "reason", escaped(now.reason));
    line(out, "tags", joined(build.tags));
    if (!now.steps.empty()) out += "\n" + StepTable(now.steps).text();
    return out;
}

Status wait_within(const Build &build, const std::optional<std::string> &timeout)
{
    if (!timeout) return build.wait();
    const Call call = Call::within(to_duration(*timeout));
    try {
        return build.wait(call);
    } catch (const Error &e) {
        if (e.code() != Code::timeout || !call.expired()) throw;
    }
    const Status now = build.get_status();
    if (!is_active(now.state)) return now;
    const std::string object = to_string(BuildName{build.team(), build.runid()});
    throw Error(Code::timeout, object + ": still " + name(now.state) + " after " + *timeout);
}

}  // namespace

int status(const Options &options)
{
    const Summary summary = named_build(options).summary();
    print(options.json ? to_json(summary) + "\n" : as_text(summary));
    return Exit::done;
}

int wait(const Options &options)
{
    if (options.timeout) to_duration(*options.timeout);
    const Build build = named_build(options);
    const Status ended = wait_within(build, options.timeout);
    if (options.json) {
        Summary summary = build.summary();
        summary.status = ended;
        print(to_json(summary) + "\n");
    } else {
        print(coloured(name(ended.state), colour_of(ended.state)) + "\n");
        if (!ended.error.empty()) complain(to_string(BuildName{build.team(), build.runid()}) + ": " + ended.error);
    }
    return ended.state == State::complete ? Exit::done : Exit::not_complete;
}

}  // namespace litbuild::cli
