#include "convert.hpp"

#include <pybind11/stl.h>

#include <unordered_map>

namespace litbuild::python {

py::str to_python(std::string_view text)
{
    PyObject *out = PyUnicode_DecodeUTF8(text.data(), static_cast<py::ssize_t>(text.size()), "surrogateescape");
    if (!out) throw py::error_already_set();
    return py::reinterpret_steal<py::str>(out);
}

std::string from_python(const py::str &text)
{
    PyObject *bytes = PyUnicode_AsEncodedString(text.ptr(), "utf-8", "surrogateescape");
    if (!bytes) throw py::error_already_set();
    return std::string(py::reinterpret_steal<py::bytes>(bytes));
}

py::list to_python(const std::vector<std::string> &words)
{
    py::list out;
    for (const std::string &word : words) out.append(to_python(word));
    return out;
}

namespace {

py::object text_or_none(const std::string &text)
{
    if (text.empty()) return py::none();
    return to_python(text);
}

template <class Value>
py::object or_none(const std::optional<Value> &value)
{
    if (!value) return py::none();
    return py::cast(*value);
}

py::object signal_or_none(int signal)
{
    if (signal == 0) return py::none();
    return py::int_(signal);
}

py::dict dict_of(const Step &step)
{
    py::dict out;
    out["name"] = to_python(step.name);
    out["state"] = name(step.state);
    out["parent"] = step.parent < 0 ? py::object(py::none()) : py::object(py::int_(step.parent));
    out["exit_code"] = or_none(step.exit_code);
    out["signal"] = signal_or_none(step.signal);
    out["started_ns"] = step.started;
    out["ended_ns"] = step.ended;
    out["progress"] = or_none(step.progress);
    return out;
}

}  // namespace

py::object to_python(const Status &status) { return py::cast(status); }

py::object to_python(const Summary &summary) { return py::cast(summary); }

namespace {

template <class Value>
using Getter = py::object (*)(const Value &);

const std::unordered_map<std::string_view, Getter<Status>> of_status = {
    {"state", [](const Status &from) -> py::object { return py::str(name(from.state)); }},
    {"step", [](const Status &from) { return text_or_none(from.step().value_or("")); }},
    {"time_ns", [](const Status &from) -> py::object { return py::int_(from.time); }},
    {"created_ns", [](const Status &from) -> py::object { return py::int_(from.created); }},
    {"started_ns", [](const Status &from) -> py::object { return py::int_(from.started); }},
    {"ended_ns", [](const Status &from) -> py::object { return py::int_(from.ended); }},
    {"cursor", [](const Status &from) -> py::object { return py::int_(from.cursor); }},
    {"exit_code", [](const Status &from) { return or_none(from.exit_code); }},
    {"signal", [](const Status &from) { return signal_or_none(from.signal); }},
    {"progress", [](const Status &from) { return or_none(from.progress); }},
    {"message", [](const Status &from) { return text_or_none(from.message); }},
    {"error", [](const Status &from) { return text_or_none(from.error); }},
    {"stopped_by", [](const Status &from) { return text_or_none(from.stopped_by); }},
    {"reason", [](const Status &from) { return text_or_none(from.reason); }},
    {"as_of_ms", [](const Status &from) -> py::object { return py::int_(from.as_of.count()); }},
    {"steps",
     [](const Status &from) -> py::object {
         py::list out;
         for (const Step &step : from.steps) out.append(dict_of(step));
         return out;
     }},
};

const std::unordered_map<std::string_view, Getter<Summary>> of_summary = {
    {"runid", [](const Summary &from) -> py::object { return py::int_(from.name.runid); }},
    {"path", [](const Summary &from) -> py::object { return to_python(from.path.native()); }},
    {"archived", [](const Summary &from) -> py::object { return py::bool_(from.archived); }},
    {"tags", [](const Summary &from) -> py::object { return to_python(from.tags); }},
    {"status", [](const Summary &from) -> py::object { return to_python(from.status); }},
};

template <class Value>
void define_raw(py::module_ &module, const char *name, const std::unordered_map<std::string_view, Getter<Value>> &items)
{
    py::class_<Value>(module, name, py::module_local()).def("__getitem__", [&items](const Value &self, const std::string &key) {
        const auto found = items.find(key);
        if (found == items.end()) throw py::key_error(key);
        return found->second(self);
    });
}

}  // namespace

void define_raw_values(py::module_ &module)
{
    define_raw(module, "RawStatus", of_status);
    define_raw(module, "RawSummary", of_summary);
}

py::dict to_python(const StopResult &result)
{
    py::list survivors;
    for (const ProcessInfo &process : result.report.survivors) {
        py::dict each;
        each["pid"] = process.pid;
        each["state"] = text_or_none(process.state == 0 ? "" : std::string(1, process.state));
        each["command"] = to_python(process.command);
        each["where"] = text_or_none(process.where);
        each["doubt"] = text_or_none(process.doubt);
        survivors.append(each);
    }
    py::dict out;
    out["message"] = to_python(result.message);
    out["outcome"] = name(result.outcome);
    out["killed"] = result.report.killed;
    out["took_ns"] = result.report.took.count();
    out["survivors"] = survivors;
    return out;
}

py::dict to_python(const Event &event)
{
    py::dict out;
    out["cursor"] = event.cursor;
    out["time_ns"] = event.time;
    out["state"] = name(event.state);
    out["type"] = to_python(event.type);
    out["json"] = to_python(event.json);
    return out;
}

py::dict to_python(const BulkResult &result)
{
    py::dict out;
    out["runid"] = result.build.runid;
    out["path"] = text_or_none(result.path.native());
    py::object error = py::none();
    if (const std::optional<Error> &found = result.error)
        error = py::make_tuple(name(found->code()), to_python(found->what()), found->os_errno());
    out["error"] = error;
    return out;
}

py::dict to_python(const BuildChange &change)
{
    py::dict out;
    out["kind"] = name(change.kind);
    out["runid"] = change.build.runid;
    out["status"] = change.status ? py::object(to_python(*change.status)) : py::object(py::none());
    out["delay_ms"] = change.delay.count();
    return out;
}

py::dict to_python(const TeamFinding &finding)
{
    py::dict out;
    out["team"] = to_python(finding.team);
    out["runid"] = finding.found.runid;
    out["state"] = name(finding.found.state);
    out["kind"] = to_python(finding.found.kind);
    out["text"] = to_python(finding.found.text);
    out["action"] = to_python(finding.found.action);
    return out;
}

py::dict to_python(const PluginInfo &plugin)
{
    py::dict out;
    out["name"] = to_python(plugin.name);
    out["version"] = to_python(plugin.version);
    out["abi"] = to_python(plugin.abi);
    out["interfaces"] = to_python(plugin.interfaces);
    out["file"] = text_or_none(plugin.file.native());
    out["problem"] = text_or_none(plugin.problem);
    return out;
}

void raise_in_python(const Error &error)
{
    try {
        const py::object made = py::module_::import("lit.sdk.data.build._errors")
                                    .attr("make")(name(error.code()), to_python(error.what()), error.os_errno());
        PyErr_SetObject(reinterpret_cast<PyObject *>(Py_TYPE(made.ptr())), made.ptr());
    } catch (py::error_already_set &e) {
        e.restore();
    }
}

}  // namespace litbuild::python
