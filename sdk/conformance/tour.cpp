#include "tour.hpp"

#include <fstream>

namespace litbuild::conformance {

namespace {

constexpr const char *finished_events =
    R"({"seq":1,"time":"2024-06-08T16:40:30.000000Z","type":"queued","state":"queued",)"
    R"("uuid":"8a1c1f0e-2f7b-4a55-9d5e-0c7d9b3f6a01","steps":["load"]})" "\n"
    R"({"seq":2,"time":"2024-06-08T16:40:30.100000Z","type":"running","state":"running"})" "\n"
    R"({"seq":3,"time":"2024-06-08T16:40:30.200000Z","type":"step_started","state":"running","step":0})" "\n"
    R"({"seq":4,"time":"2024-06-08T16:40:31.000000Z","type":"step_ended","state":"running",)"
    R"("step":0,"state_of_step":"complete","exit":0})" "\n"
    R"({"seq":5,"time":"2024-06-08T16:40:31.100000Z","type":"complete","state":"complete","exit":0})" "\n";

std::string first_lines(const std::string &text, size_t count)
{
    size_t at = 0;
    for (; count > 0; --count) at = text.find('\n', at) + 1;
    return text.substr(0, at);
}

std::string snapshot(const std::string &state, size_t seq, size_t offset)
{
    return R"({"seq":)" + std::to_string(seq) + R"(,"offset":)" + std::to_string(offset) + R"(,"state":")" + state +
           R"(","time":"2024-06-08T16:40:31.100000Z","created":"2024-06-08T16:40:30.000000Z","current_step":null,)"
           R"("steps":[{"name":"load","state":")" + state + R"(","parent":-1}]})" "\n";
}

int ignored(void *, lb_str) noexcept { return 0; }
int ignored_entries(void *, const lb_entry *, size_t) noexcept { return 0; }

template <class Text>
struct Names {
    explicit Names(const std::string &team_name) : team(team_name), log("log"), control("stop"), tag("a"), content("words") {}
    Text team, log, control, tag, content;
};

/// Text as everybody's is.
struct Plain {
    explicit Plain(std::string_view from) : text(from) {}
    lb_str str() const noexcept { return abi::str(text); }
    std::string text;
};

template <class Text>
void walk(const Instance<lb_store> &instance, const lb_call *call)
{
    const lb_store &table = instance.table();
    void *const self = instance.self();
    const NewBuild wanted = new_build(fresh_team());
    const Names<Text> names(wanted.team);
    int64_t runid = 1;
    if (table.create) {
        const Text uuid(wanted.uuid), document(wanted.document);
        lb_file file = abi::sized<lb_file>();
        file.name = names.log.str();
        file.content = names.content.str();
        lb_new_build raw = abi::sized<lb_new_build>();
        raw.team = names.team.str();
        raw.uuid = uuid.str();
        raw.document = document.str();
        raw.files = &file;
        raw.file_count = 1;
        const auto keep = [](void *ctx, const lb_entry *entry, size_t count) noexcept -> int {
            if (count > 0 && entry->struct_size >= 16) *static_cast<int64_t *>(ctx) = entry->runid;
            return 0;
        };
        table.create(self, call, &raw, keep, &runid, nullptr);
    }
    const auto build = [&](const Text &team) {
        lb_build out = abi::sized<lb_build>();
        out.team = team.str();
        out.runid = runid;
        return out;
    };
    const auto with_names = [&](auto body) {
        const Names<Text> fresh(wanted.team);
        const lb_build target = build(fresh.team);
        body(fresh, &target);
    };
    if (table.teams) table.teams(self, call, ignored, nullptr, nullptr);
    with_names([&](const Names<Text> &own, const lb_build *) {
        lb_query query = abi::sized<lb_query>();
        query.scope = LB_ALL;
        query.team = own.team.str();
        if (table.list) table.list(self, call, &query, ignored_entries, nullptr, nullptr);
    });
    with_names([&](const Names<Text> &, const lb_build *target) {
        if (table.find) table.find(self, call, target, ignored_entries, nullptr, nullptr);
        if (table.tags) table.tags(self, call, target, ignored, nullptr, nullptr);
    });
    with_names([&](const Names<Text> &own, const lb_build *target) {
        const lb_str tag = own.tag.str();
        if (table.edit_tags) table.edit_tags(self, call, target, &tag, 1, &tag, 1, nullptr);
        if (table.read) table.read(self, call, target, own.log.str(), 0, 0, ignored, nullptr, nullptr);
        if (table.write_control) table.write_control(self, call, target, own.control.str(), own.content.str(), nullptr);
    });
    with_names([&](const Names<Text> &, const lb_build *target) {
        if (table.archive) table.archive(self, call, target, ignored_entries, nullptr, nullptr);
        if (table.restore) table.restore(self, call, target, ignored_entries, nullptr, nullptr);
        if (table.archive) table.archive(self, call, target, ignored_entries, nullptr, nullptr);
    });
    with_names([&](const Names<Text> &own, const lb_build *) {
        const lb_str team = own.team.str(), note = own.control.str();
        uint32_t done = 0;
        if (table.version) table.version(self, call, team, ignored, nullptr, nullptr);
        if (table.write_note) table.write_note(self, call, team, note, own.content.str(), 0, nullptr);
        if (table.swap_note) table.swap_note(self, call, team, note, own.content.str(), own.content.str(), 1, &done, nullptr);
        if (table.notes) table.notes(self, call, team, ignored, nullptr, nullptr);
        if (table.read_note) table.read_note(self, call, team, note, ignored, nullptr, nullptr);
        if (table.remove_note) table.remove_note(self, call, team, note, nullptr);
    });
    with_names([&](const Names<Text> &own, const lb_build *target) {
        if (table.examine)
            table.examine(
                self, call, own.team.str(), LB_REPAIR_YES, [](void *, const lb_finding *) noexcept { return 0; }, nullptr,
                nullptr);
        int64_t age = 0;
        if (table.age) table.age(self, call, target, own.log.str(), &age, nullptr);
        if (table.watch && instance.parallel())
            table.watch(self, call, own.team.str(), [](void *, const lb_change *) noexcept { return 1; }, nullptr, nullptr);
        if (table.remove) table.remove(self, call, target, nullptr);
    });
    if (table.capabilities) table.capabilities(self);
    if (table.as_of_ms) table.as_of_ms(self);
}

template <class Text>
void walk(const Instance<lb_status_source> &instance, const lb_call *call)
{
    const lb_status_source &table = instance.table();
    // Where nothing comes a poll waits for as long as it may.
    const Call soon = Call::within(std::chrono::milliseconds(50));
    const abi::OutgoingCall limited(soon);
    if (!call) call = limited.get();
    for (int64_t runid = 1; runid <= 4; ++runid) {
        const Text team("contoso");
        lb_build build = abi::sized<lb_build>();
        build.team = team.str();
        build.runid = runid;
        if (table.status)
            table.status(instance.self(), call, &build, [](void *, const lb_status *) noexcept { return 0; }, nullptr, nullptr);
        // Of one that has ended, so that nobody waits.
        if (table.poll && runid == 1)
            table.poll(instance.self(), call, &build, 0, [](void *, const lb_event *) noexcept { return 0; }, nullptr, nullptr);
    }
}

template <class Text>
void walk(Context &context, const Instance<lb_process_controller> &instance, const lb_call *call)
{
    const lb_process_controller &table = instance.table();
    void *const self = instance.self();
    const auto probed = [](void *, const lb_probe *) noexcept { return 0; };
    const Text garbage("no token");
    if (table.probe) table.probe(self, call, garbage.str(), probed, nullptr, nullptr);
    if (table.capabilities) table.capabilities(self);
    if (context.subject().runner.empty() || !table.launch) return;

    const RunnableBuild build(context.folder() / fresh_team(), "true");
    std::string token;
    {
        const Text team(build.name.team), uuid(build.uuid), folder(build.folder.string()),
            runner(context.subject().runner.string()), variable("LITBUILD_CHECK=1");
        const lb_str argv[] = {runner.str(), folder.str()}, env[] = {variable.str()};
        lb_launch launch = abi::sized<lb_launch>();
        launch.team = team.str();
        launch.runid = build.name.runid;
        launch.uuid = uuid.str();
        launch.folder = folder.str();
        launch.argv = argv;
        launch.argv_count = 2;
        launch.env = env;
        launch.env_count = 1;
        const auto keep = [](void *ctx, lb_str text) noexcept -> int {
            *static_cast<std::string *>(ctx) = abi::text(text);
            return 0;
        };
        table.launch(self, call, &launch, keep, &token, nullptr);
    }
    if (table.wait) table.wait(self, call, Text(token).str(), probed, nullptr, nullptr);
    if (table.probe) table.probe(self, call, Text(token).str(), probed, nullptr, nullptr);
    lb_stop_step kill = abi::sized<lb_stop_step>();
    kill.signal = 9;
    kill.grace_ns = 5'000'000'000;
    if (table.stop)
        table.stop(
            self, call, Text(token).str(), Text(build.uuid).str(), &kill, 1,
            [](void *, const lb_stop_report *) noexcept { return 0; }, nullptr, nullptr);
}

}  // namespace

// -------------------------------------------------------------------------------------------------------------- reader

KitReader::KitReader(const std::filesystem::path &, Mode mode) : mode_(mode)
{
    raw_ = abi::sized<lb_reader>();
    raw_.ctx = this;
    raw_.read = [](void *ctx, const lb_call *, const lb_build *build, lb_str name, uint64_t offset, uint64_t max, lb_text_fn fn,
                   void *fn_ctx, lb_error *error) noexcept {
        return static_cast<const KitReader *>(ctx)->read(build, name, offset, max, fn, fn_ctx, error);
    };
    const std::string events = finished_events, begun = first_lines(events, 3);
    files_["1/events.jsonl"] = events;
    files_["1/status.json"] = snapshot("complete", 5, events.size());
    files_["2/events.jsonl"] = begun;
    files_["2/status.json"] = snapshot("running", 3, begun.size());
    for (const char *build : {"1/build.json", "2/build.json", "3/build.json"})
        files_[build] = "{\"runid\":1,\"team\":\"contoso\"}\n";
}

void KitReader::complete_running_build()
{
    const std::lock_guard<std::mutex> lock(mutex_);
    files_["2/events.jsonl"] = finished_events;
    files_["2/status.json"] = snapshot("complete", 5, files_["2/events.jsonl"].size());
}

int32_t KitReader::read(const lb_build *build, lb_str name, uint64_t offset, uint64_t max, lb_text_fn fn, void *ctx,
                        lb_error *error) const
{
    asked_.store(true);
    const BuildName wanted = abi::from_c(build);
    if (mode_.load() == Mode::broken || wanted.runid == broken_build)
        return abi::fail(error, Code::unavailable, (to_string(wanted) + ": the kit's reader is broken on purpose").c_str());
    if (wanted.team != "contoso" || wanted.runid < 1 || wanted.runid > 3)
        return abi::fail(error, Code::not_found, (to_string(wanted) + ": no such build").c_str());
    std::string content;
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = files_.find(std::to_string(wanted.runid) + "/" + abi::text(name));
        if (found == files_.end()) return abi::fail(error, Code::not_found, (to_string(wanted) + ": no such file").c_str());
        content = found->second;
    }
    // In odd pieces, as a network brings them.
    for (uint64_t at = std::min<uint64_t>(offset, content.size()), left = max ? max : UINT64_MAX;
         at < content.size() && left > 0;) {
        const size_t size = static_cast<size_t>(std::min<uint64_t>({left, content.size() - at, 37}));
        if (fn(ctx, {content.data() + at, size}) != 0) break;
        at += size;
        left -= size;
    }
    return LB_OK;
}

// ------------------------------------------------------------------------------------------------------------- process

RunnableBuild::RunnableBuild(const std::filesystem::path &root, const std::string &script)
    : uuid(fresh_uuid()), folder(root / "1")
{
    std::filesystem::create_directories(folder / ".control");
    std::string quoted;
    for (const char c : script) {
        if (c == '"' || c == '\\') quoted += '\\';
        quoted += c;
        if (c == '\n') quoted.replace(quoted.size() - 1, 1, "\\n");
    }
    std::ofstream(folder / "build.json")
        << R"({"runid":1,"team":"contoso","uuid":")" << uuid
        << R"(","created":"2024-06-08T16:40:30.000000Z","host":"check","spec":{)"
        << R"("steps":[{"name":"script","command":["sh","-c",")" << quoted << R"("]}],"left_overs":"kill","linger_ms":1000,)"
        << R"("stop":[{"signal":15,"grace_ms":500},{"signal":9,"grace_ms":10000}]}})" << "\n";
    std::ofstream(folder / "events.jsonl")
        << R"({"seq":1,"time":"2024-06-08T16:40:30.000000Z","type":"queued","state":"queued","uuid":")" << uuid
        << R"(","steps":["script"]})" << "\n";
}

// --------------------------------------------------------------------------------------------------------------- tours

void tour(Context &, const Instance<lb_store> &store, const lb_call *call)
{
    const Calling calling("a function of lb_store");
    walk<Plain>(store, call);
}
void tour(Context &, const Instance<lb_status_source> &source, const lb_call *call)
{
    const Calling calling("a function of lb_status_source");
    walk<Plain>(source, call);
}
void tour(Context &context, const Instance<lb_process_controller> &controller, const lb_call *call)
{
    const Calling calling("a function of lb_process_controller");
    walk<Plain>(context, controller, call);
}

void guarded_tour(Context &, const Instance<lb_store> &store)
{
    const Calling calling("lb_store, with texts that no zero byte ends");
    walk<Guarded>(store, nullptr);
}
void guarded_tour(Context &, const Instance<lb_status_source> &source)
{
    const Calling calling("lb_status_source, with texts that no zero byte ends");
    walk<Guarded>(source, nullptr);
}
void guarded_tour(Context &context, const Instance<lb_process_controller> &controller)
{
    const Calling calling("lb_process_controller, with texts that no zero byte ends");
    walk<Guarded>(context, controller, nullptr);
}

namespace {

int32_t failing(int32_t code)
{
    if (code == LB_OK) skip("no request was found that it fails");
    return code;
}

}  // namespace

int32_t fails(const Instance<lb_store> &store, const lb_call *call, lb_error *error)
{
    const std::string team = fresh_team();
    lb_build build = abi::sized<lb_build>();
    build.team = abi::str(team);
    build.runid = 1;
    if (!store.table().find) skip("lb_store.find is not there");
    return failing(store.table().find(store.self(), call, &build, ignored_entries, nullptr, error));
}

int32_t fails(const Instance<lb_status_source> &source, const lb_call *call, lb_error *error)
{
    lb_build build = abi::sized<lb_build>();
    build.team = abi::str("contoso");
    build.runid = KitReader::broken_build;
    if (!source.table().status) skip("lb_status_source.status is not there");
    const auto told = [](void *, const lb_status *) noexcept { return 0; };
    return failing(source.table().status(source.self(), call, &build, told, nullptr, error));
}

int32_t fails(const Instance<lb_process_controller> &controller, const lb_call *call, lb_error *error)
{
    if (!controller.table().probe) skip("lb_process_controller.probe is not there");
    const auto told = [](void *, const lb_probe *) noexcept { return 0; };
    return failing(controller.table().probe(controller.self(), call, abi::str("no token"), told, nullptr, error));
}

}  // namespace litbuild::conformance
