#include <folder-store/fold.hpp>

namespace litbuild::folder {

namespace json = boost::json;

namespace {

// A part stands behind what it is a part of, so that no step is its own ancestor.
int parent(const json::object &from, size_t own_index) noexcept
{
    const auto found = fields::index(from, "parent", own_index);
    return found ? static_cast<int>(*found) : -1;
}

Step step(const json::object &from, size_t own_index)
{
    Step made;
    made.name = fields::text(from, "name");
    made.state = fields::state(from, "state").value_or(State::queued);
    made.parent = parent(from, own_index);
    made.exit_code = fields::small(from, "exit");
    made.signal = fields::small(from, "signal").value_or(0);
    made.started = fields::time(from, "started");
    made.ended = fields::time(from, "ended");
    made.progress = fields::fraction(from, "progress");
    return made;
}

void set_detail(Status &status, const json::object &from)
{
    if (const json::object *found = fields::below(from, "detail"); found && fields::is_finite(*found))
        status.detail = json::serialize(*found);
}

// As the runner works it out: every step counts the same, its parts do not count.
std::optional<double> computed_progress(const Status &status) noexcept
{
    double sum = 0;
    size_t count = 0;
    for (const Step &step : status.steps) {
        if (step.parent >= 0) continue;
        ++count;
        sum += step.state == State::complete ? 1.0 : step.progress.value_or(0);
    }
    if (count == 0) return std::nullopt;
    return sum / static_cast<double>(count);
}

}  // namespace

bool Fold::snapshot(std::string_view content)
{
    const auto members = parse_object(content);
    if (!members) return false;
    const auto at = fields::state(*members, "state");
    const auto offset = fields::integer(*members, "offset");
    if (!at || !offset || *offset < 0) return false;
    Status read;
    read.state = *at;
    read.cursor = static_cast<uint64_t>(*offset);
    read.time = fields::time(*members, "time");
    read.created = fields::time(*members, "created");
    read.started = fields::time(*members, "started");
    read.ended = fields::time(*members, "ended");
    read.exit_code = fields::small(*members, "exit");
    read.signal = fields::small(*members, "signal").value_or(0);
    read.progress = fields::fraction(*members, "progress");
    fields::set(read.message, *members, "message");
    fields::set(read.error, *members, "error");
    fields::set(read.stopped_by, *members, "stopped_by");
    fields::set(read.reason, *members, "reason");
    set_detail(read, *members);
    if (const json::array *steps = fields::list(*members, "steps")) {
        for (const json::value &item : *steps) {
            if (read.steps.size() == most_steps) break;
            const json::object *found = item.if_object();
            read.steps.push_back(found ? step(*found, read.steps.size()) : Step());
        }
    }
    read.current_step = fields::index(*members, "current_step", read.steps.size());
    status_ = std::move(read);
    return true;
}

void Fold::add(const Record &record, uint64_t cursor)
{
    status_.cursor = cursor;
    if (record.time != 0) status_.time = record.time;
    status_.state = record.state;
    if (record.type == "queued") return queued(record);
    if (record.type == "step_started") return step_started(record);
    if (record.type == "step_ended") return step_ended(record);
    if (record.type == "progress") return progress(record);
    if (is_terminal(record.state)) return terminal(record);
    if (record.type == "running") {
        if (status_.started == 0) status_.started = record.time;
        set_detail(status_, record.members);
    }
    fields::set(status_.stopped_by, record.members, "stopped_by");
    fields::set(status_.reason, record.members, "reason");
}

Step *Fold::step_of(const Record &record)
{
    const auto found = fields::index(record.members, "step", status_.steps.size());
    return found ? &status_.steps[*found] : nullptr;
}

void Fold::queued(const Record &record)
{
    status_.created = record.time;
    status_.steps.clear();
    status_.current_step.reset();
    const json::array *names = fields::list(record.members, "steps");
    if (!names) return;
    for (const json::value &name : *names) {
        if (status_.steps.size() == most_steps) return;
        Step step;
        if (const json::string *found = name.if_string()) step.name = std::string(*found);
        status_.steps.push_back(std::move(step));
    }
}

void Fold::step_started(const Record &record)
{
    const size_t count = status_.steps.size();
    if (fields::integer(record.members, "step") == static_cast<int64_t>(count) && count < most_steps) {
        status_.steps.emplace_back();
        status_.steps.back().parent = parent(record.members, count);
    }
    Step *step = step_of(record);
    if (!step) return;
    fields::set(step->name, record.members, "name");
    step->state = State::running;
    step->started = record.time;
    step->ended = 0;
    step->exit_code.reset();
    step->signal = 0;
    if (!progress_told_) status_.progress.reset();
    // A part leaves the step that it is a part of the current one.
    if (step->parent >= 0) return;
    status_.current_step = static_cast<size_t>(step - status_.steps.data());
    status_.message.clear();
}

void Fold::step_ended(const Record &record)
{
    Step *step = step_of(record);
    if (!step) return;
    step->state = fields::state(record.members, "state_of_step").value_or(State::complete);
    step->ended = record.time;
    step->exit_code = fields::small(record.members, "exit");
    step->signal = fields::small(record.members, "signal").value_or(0);
    if (step->state == State::complete) step->progress = 1.0;
    if (!progress_told_) status_.progress.reset();
}

void Fold::progress(const Record &record)
{
    fields::set(status_.message, record.members, "message");
    const auto value = fields::fraction(record.members, "progress");
    if (!value) return;
    if (!record.members.contains("step")) {
        status_.progress = value;
        progress_told_ = true;
        return;
    }
    Step *step = step_of(record);
    if (!step) return;
    step->progress = value;
    if (!progress_told_) status_.progress.reset();
}

void Fold::terminal(const Record &record)
{
    end(record.time);
    status_.exit_code = fields::small(record.members, "exit");
    status_.signal = fields::small(record.members, "signal").value_or(0);
    fields::set(status_.error, record.members, "error");
    fields::set(status_.stopped_by, record.members, "stopped_by");
    fields::set(status_.reason, record.members, "reason");
    set_detail(status_, record.members);
}

void Fold::ended_from_outside(const json::object &verdict)
{
    const Timestamp when = fields::time(verdict, "time");
    if (when != 0) status_.time = when;
    status_.state = fields::state(verdict, "state") == State::error ? State::error : State::stopped;
    end(when);
    fields::set(status_.stopped_by, verdict, "by");
    fields::set(status_.reason, verdict, "reason");
    fields::set(status_.error, verdict, "message");
}

// What has not begun stays queued.
void Fold::end(Timestamp when)
{
    status_.ended = when;
    status_.current_step.reset();
    status_.message.clear();
    for (Step &step : status_.steps) {
        if (!is_active(step.state) || step.state == State::queued) continue;
        step.state = State::stopped;
        step.ended = when;
    }
}

Status Fold::result() const
{
    Status status = status_;
    if (status.state == State::complete)
        status.progress = 1.0;
    else if (!status.progress && status.state != State::queued)
        status.progress = computed_progress(status);
    return status;
}

}  // namespace litbuild::folder
