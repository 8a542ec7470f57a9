// lit.sdk.data.build._engine: the engine as plain functions over plain values. What Python's users see is made of it in Python.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "convert.hpp"
#include "interruptible.hpp"
#include "watch.hpp"

namespace litbuild::python {
namespace {

using Shared = std::shared_ptr<Engine>;
using Words = std::vector<std::string>;

template <class Values>
py::list list_of(const Values &values)
{
    py::list out;
    for (const auto &value : values) out.append(to_python(value));
    return out;
}

std::shared_ptr<Engine> open(const std::string &config, const py::object &log)
{
    Config read = Config::from_json(config);
    if (!log.is_none()) {
        // Destroyed by whichever thread drops the engine last.
        const std::shared_ptr<py::object> receiver(new py::object(log), [](py::object *each) {
            const py::gil_scoped_acquire locked;
            delete each;
        });
        read.log = [receiver](int level, std::string_view line) {
            const py::gil_scoped_acquire locked;
            try {
                (*receiver)(level, to_python(line));
            } catch (py::error_already_set &e) {
                e.discard_as_unraisable("the log of lit.sdk.data.build");
            }
        };
    }
    return run(Timeout(), [&](const Call &) { return std::make_shared<Engine>(std::move(read)); });
}

Filter to_filter(const std::string &scope, const std::optional<std::string> &tag, const std::optional<std::string> &state,
                 uint64_t limit, int64_t before, int64_t since)
{
    Filter out{.scope = Scope::live, .tag = tag, .since = since, .limit = limit, .before = before};
    if (scope == "archived") out.scope = Scope::archived;
    else if (scope == "all") out.scope = Scope::all;
    else if (scope != "live") throw Error(Code::invalid, quote(scope) + ": not a scope; it is live, archived or all");
    if (state) {
        out.state = parse_state(*state);
        if (!out.state) throw Error(Code::invalid, quote(*state) + ": not a state");
    }
    return out;
}

std::chrono::milliseconds to_milliseconds(double seconds)
{
    if (!(seconds >= 0) || seconds > 366.0 * 86400)
        throw Error(Code::invalid, "time: not a number of seconds from 0 to a year");
    return std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000));
}

py::dict stop(const Shared &engine, const std::string &team, int64_t runid, std::optional<double> grace,
              const std::string &by, const std::string &reason, const Timeout &timeout)
{
    StopOptions options{.by = by, .reason = reason};
    if (grace) options.grace = to_milliseconds(*grace);
    return to_python(run(timeout, [&](const Call &call) { return engine->build(team, runid).stop(options, call); }));
}

/// The next piece of the log, and the offset behind it; no piece: there will be none, or the deadline has passed.
py::tuple follow(const Shared &engine, const std::string &team, int64_t runid, uint64_t offset, const Timeout &timeout)
{
    std::string piece;
    const uint64_t end = run(timeout, [&](const Call &call) {
        const auto take = [&](std::string_view text) {
            piece = text;
            return false;
        };
        return engine->build(team, runid).follow(take, call, offset);
    });
    return py::make_tuple(py::bytes(piece), end);
}

py::bytes read(const Shared &engine, const std::string &team, int64_t runid, const py::str &name, uint64_t offset, uint64_t max,
               const Timeout &timeout)
{
    const std::string file = from_python(name);
    std::string out;
    run(timeout, [&](const Call &call) {
        engine->build(team, runid).read(file, [&](std::string_view text) {
            out += text;
            return true;
        }, offset, max, call);
        return 0;
    });
    return py::bytes(out);
}

py::list prune(const Shared &engine, const std::string &team, const std::string &action, double older_than,
               uint64_t keep_last, const Words &keep_tags, bool trial, const Timeout &timeout)
{
    const Retention policy{.action = action == "remove" ? Retention::Action::remove : Retention::Action::archive,
                           .older_than = to_milliseconds(older_than),
                           .keep_last = keep_last,
                           .keep_tags = keep_tags,
                           .trial = trial ? Retention::Trial::yes : Retention::Trial::no};
    return list_of(run(timeout, [&](const Call &call) { return engine->prune(team, policy, {}, call); }));
}

void define_engine(py::module_ &module)
{
    py::class_<Engine, Shared> type(module, "Engine");
    type.def(py::init(&open), py::arg("config"), py::arg("log"));

    // Each: the engine, what the engine's function of that name takes, and the seconds that it may take.
    type.def("path", [](const Shared &self, const std::string &team, int64_t runid, const Timeout &timeout) {
        return to_python(run(timeout, [&](const Call &call) { return self->build(team, runid).path(call); }).native());
    });
    type.def("tags", [](const Shared &self, const std::string &team, int64_t runid, const Timeout &timeout) {
        return to_python(run(timeout, [&](const Call &call) { return self->build(team, runid).tags(call); }));
    });
    type.def("edit_tags", [](const Shared &self, const std::string &team, int64_t runid, const Words &add,
                             const Words &remove, const Timeout &timeout) {
        return to_python(run(timeout, [&](const Call &call) { return self->build(team, runid).edit_tags(add, remove, call); }));
    });
    type.def("archive", [](const Shared &self, const std::string &team, int64_t runid, const Timeout &timeout) {
        return to_python(run(timeout, [&](const Call &call) { return self->build(team, runid).archive(call); }).native());
    });
    type.def("restore", [](const Shared &self, const std::string &team, int64_t runid, const Timeout &timeout) {
        return to_python(run(timeout, [&](const Call &call) { return self->build(team, runid).restore(call); }).native());
    });
    type.def("remove", [](const Shared &self, const std::string &team, int64_t runid, const Timeout &timeout) {
        run(timeout, [&](const Call &call) {
            self->build(team, runid).remove(call);
            return 0;
        });
    });
    type.def("status", [](const Shared &self, const std::string &team, int64_t runid, const Timeout &timeout) {
        return to_python(run(timeout, [&](const Call &call) { return self->build(team, runid).get_status(call); }));
    });
    type.def("summary", [](const Shared &self, const std::string &team, int64_t runid, const Timeout &timeout) {
        return to_python(run(timeout, [&](const Call &call) { return self->build(team, runid).summary(call); }));
    });
    type.def("wait", [](const Shared &self, const std::string &team, int64_t runid, const Timeout &timeout) {
        return to_python(run(timeout, [&](const Call &call) { return self->build(team, runid).wait(call); }));
    });
    type.def("events", [](const Shared &self, const std::string &team, int64_t runid, uint64_t cursor, const Timeout &timeout) {
        return list_of(run(timeout, [&](const Call &call) { return self->build(team, runid).events(cursor, call); }));
    });
    type.def("stop", &stop);
    type.def("follow", &follow);
    type.def("read", &read);
    type.def("check", [](const Shared &self, const std::string &team, int64_t runid) { (void)self->build(team, runid); });
    type.def("launch", [](const Shared &self, const std::string &team, const std::string &spec, const Timeout &timeout) {
        return run(timeout, [&](const Call &call) { return self->launch(team, spec, call).runid(); });
    });
    type.def("teams", [](const Shared &self, const Timeout &timeout) {
        return to_python(run(timeout, [&](const Call &call) { return self->teams(call); }));
    });
    type.def("get_builds", [](const Shared &self, const std::string &team, const std::string &scope,
                              const std::optional<std::string> &tag, const std::optional<std::string> &state, uint64_t limit,
                              int64_t before, int64_t since, const Timeout &timeout) {
        const Filter filter = to_filter(scope, tag, state, limit, before, since);
        return run(timeout, [&](const Call &call) {
            std::vector<int64_t> out;
            for (const Build &build : self->get_builds(team, filter, call)) out.push_back(build.runid());
            return out;
        });
    });
    type.def("list", [](const Shared &self, const std::string &team, const std::string &scope,
                        const std::optional<std::string> &tag, const std::optional<std::string> &state, uint64_t limit,
                        int64_t before, int64_t since, const Timeout &timeout) {
        const Filter filter = to_filter(scope, tag, state, limit, before, since);
        return list_of(run(timeout, [&](const Call &call) { return self->list(team, filter, call); }));
    });
    type.def("prune", &prune);
    type.def("examine", [](const Shared &self, const std::string &team, bool repair, const Timeout &timeout) {
        return list_of(run(timeout, [&](const Call &call) {
            return self->examine(team, repair ? Repair::yes : Repair::no, call);
        }));
    });
    type.def("plugins", [](const Shared &self) {
        return list_of(run(Timeout(), [&](const Call &) { return self->plugins(); }));
    });
}

void define_watch(py::module_ &module)
{
    // Its end waits for a thread, and that may be logging.
    struct Unlocked {
        void operator()(Watch *watch) const
        {
            const py::gil_scoped_release unlocked;
            delete watch;
        }
    };
    using Owned = std::unique_ptr<Watch, Unlocked>;
    py::class_<Watch, Owned>(module, "Watch")
        .def(py::init([](const Shared &engine, const std::string &team) { return Owned(new Watch(engine, team)); }))
        .def("next", [](Watch &self, const Timeout &timeout) -> py::object {
            const std::optional<BuildChange> change = run(timeout, [&](const Call &call) { return self.next(call); });
            if (!change) return py::none();
            return to_python(*change);
        });
}

}  // namespace
}  // namespace litbuild::python

PYBIND11_MODULE(_engine, module)
{
    using namespace litbuild;
    module.attr("version") = LITBUILD_VERSION;
    pybind11::register_local_exception_translator([](std::exception_ptr thrown) {
        try {
            if (thrown) std::rethrow_exception(thrown);
        } catch (const Error &e) {
            python::raise_in_python(e);
        }
    });
    python::define_raw_values(module);
    python::define_engine(module);
    python::define_watch(module);
}
