#include "spec.hpp"

#include <litbuild/names.hpp>

#include "reading.hpp"

namespace litbuild::detail {

namespace json = boost::json;
using std::chrono::milliseconds;

namespace {

json::object environment_of(const Reading &in)
{
    json::object out;
    const json::value *found = in.find("environment");
    if (!found) return out;
    if (!found->is_object()) in.fail("'environment' must be an object of texts");
    for (const auto &[key, value] : found->as_object()) {
        const std::string_view name = key;
        if (name.empty() || name.find_first_of(std::string_view("=\0", 2)) != std::string_view::npos)
            in.fail("environment: " + quote(name) + " is no name of a variable");
        if (name.starts_with("LITBUILD_")) in.fail("environment: " + quote(name) + " is litbuild's own");
        if (!value.is_string()) in.fail("environment: " + quote(name) + " must be a text");
        if (value.as_string().find('\0') != std::string::npos)
            in.fail("environment: " + quote(name) + " contains a zero byte");
        out[key] = value.as_string();
    }
    return out;
}

std::string base_name(const std::string &path) { return path.substr(path.rfind('/') + 1); }

json::object parse_step(const json::value &value, size_t number, Spec &spec)
{
    const std::string where = "spec: step " + std::to_string(number);
    const Reading in(value, where);
    const std::string given = in.text("name", "");
    const Reading step(value, given.empty() ? where : where + " " + quote(given));
    step.allow({"name", "command", "environment", "time_limit"});
    if (const json::value *command = step.find("command"); command && command->is_string())
        step.fail("'command' must be a list of words, such as [\"sh\", \"-c\", \"...\"]");
    const std::vector<std::string> command = step.words("command");
    if (command.empty() || command.front().empty()) step.fail("'command' is missing or empty");
    const std::string name = given.empty() ? base_name(command.front()) : given;
    if (name.size() > 200) step.fail("its name is longer than 200 bytes");

    const json::object environment = environment_of(step);
    if (number == 1) {
        spec.first_program = command.front();
        if (const json::value *path = environment.if_contains("PATH")) spec.first_path = std::string(path->as_string());
    }
    spec.step_names.push_back(name);
    json::object out = {{"name", name}, {"command", json::value_from(command)}};
    if (!environment.empty()) out["environment"] = environment;
    if (const milliseconds limit = step.duration("time_limit", milliseconds(0), false); limit.count() > 0)
        out["time_limit_ms"] = limit.count();
    return out;
}

std::string limits_of(const Reading &spec)
{
    const json::value *found = spec.find("limits");
    if (!found) return "";
    const Reading in(*found, spec.where() + ": limits");
    in.allow({"processes", "memory", "cpu_time"});
    json::object out;
    if (const uint64_t processes = in.count("processes")) out["processes"] = processes;
    if (const uint64_t memory = in.bytes("memory")) out["memory_bytes"] = memory;
    if (const milliseconds time = in.duration("cpu_time", milliseconds(0), false); time.count() > 0)
        out["cpu_time_ms"] = time.count();
    return json::serialize(out);
}

}  // namespace

json::array to_json(const StopPlan &plan)
{
    json::array out;
    for (const StopStep &step : plan)
        out.push_back({{"signal", step.signal},
                       {"grace_ms", std::chrono::duration_cast<milliseconds>(step.grace).count()}});
    return out;
}

StopPlan plan_from_json(const json::value &plan)
{
    StopPlan out;
    for (const json::value &value : plan.as_array()) {
        const auto step = make_stop_step(value.at("signal").as_int64(), value.at("grace_ms").as_int64());
        if (!step) throw std::out_of_range("a step of a stop plan");
        out.push_back(*step);
    }
    if (!is_sound(out)) throw std::out_of_range("a stop plan");
    return out;
}

Spec parse_spec(std::string_view text, const StopPlan &stop)
{
    const json::value value = parse_json(text, "spec");
    const Reading in(value, "spec");
    in.allow({"name", "tags", "environment", "steps", "time_limit", "stop", "limits", "left_overs", "linger", "process"});
    Spec out;
    out.tags = in.words("tags");
    for (const std::string &tag : out.tags) check_tag(tag);

    json::object &document = out.document;
    if (const std::string name = in.text("name", ""); !name.empty()) document["name"] = name;
    const json::object environment = environment_of(in);
    if (!environment.empty()) document["environment"] = environment;
    if (const milliseconds limit = in.duration("time_limit", milliseconds(0), false); limit.count() > 0)
        document["time_limit_ms"] = limit.count();
    document["stop"] = to_json(in.stop_plan("stop", stop));
    const std::string left_overs = in.text("left_overs", "kill");
    if (left_overs != "kill" && left_overs != "wait") in.fail("'left_overs' must be \"kill\" or \"wait\"");
    document["left_overs"] = left_overs;
    document["linger_ms"] = in.duration("linger", std::chrono::seconds(5), true).count();
    out.limits = limits_of(in);
    if (!out.limits.empty()) document["limits"] = json::parse(out.limits);
    if (const json::value *process = in.find("process")) {
        if (!process->is_object()) in.fail("'process' must be an object");
        out.options = json::serialize(*process);
        document["process"] = *process;
    }

    const json::value *steps = in.find("steps");
    if (!steps || !steps->is_array() || steps->as_array().empty()) in.fail("'steps' must be a list of at least one step");
    if (steps->as_array().size() > 500) in.fail("has more than 500 steps");
    json::array parsed;
    for (const json::value &step : steps->as_array()) parsed.push_back(parse_step(step, parsed.size() + 1, out));
    document["steps"] = std::move(parsed);
    if (const json::value *path = environment.if_contains("PATH"); path && !out.first_path)
        out.first_path = std::string(path->as_string());
    return out;
}

}  // namespace litbuild::detail
