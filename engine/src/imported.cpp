// The classes of the SDK over the tables of plugins: the engine's side of the edge.
#include <condition_variable>
#include <mutex>

#include <litbuild/abi.hpp>

#include "plugins.hpp"

namespace litbuild::detail {

namespace {

using abi::OutgoingCall;
using abi::Receiver;

/// One at a time, in the order of arrival. A std::mutex is often taken again by who just released it, and one who polls
/// in slices would keep all others out.
class Turns {
public:
    void lock()
    {
        std::unique_lock<std::mutex> hold(mutex_);
        const uint64_t mine = last_++;
        moved_.wait(hold, [&] { return mine == first_; });
    }
    void unlock()
    {
        {
            const std::lock_guard<std::mutex> hold(mutex_);
            ++first_;
        }
        moved_.notify_all();
    }

private:
    std::mutex mutex_;
    std::condition_variable moved_;
    uint64_t first_ = 0, last_ = 0;
};

/// Table, instance and host of one opened plugin.
template <class Table>
class Instance {
public:
    Instance(const void *table, const PluginChoice &choice, LogFunction log, const lb_reader *reader)
        : name_(choice.plugin), log_(std::move(log)), reader_(reader), table_(abi::copy(static_cast<const Table *>(table)))
    {
        host_ = abi::sized<lb_host>();
        host_.abi = LITBUILD_ABI;
        host_.name = abi::str("litbuild");
        host_.version = abi::str(LITBUILD_VERSION);
        host_.ctx = this;
        host_.log = [](void *ctx, int32_t level, lb_str text) noexcept {
            const Instance &self = *static_cast<Instance *>(ctx);
            try {
                if (self.log_) self.log_(level, self.name_ + ": " + abi::text(text));
            } catch (...) {
                // A logger that fails must not end the call that logs.
            }
        };
        host_.now_ns = [](void *) noexcept -> int64_t {
            return std::chrono::nanoseconds(Clock::now().time_since_epoch()).count();
        };
        host_.service = [](void *ctx, lb_str id) noexcept -> const void * {
            return abi::view(id) == LB_READER_ID ? static_cast<Instance *>(ctx)->reader_ : nullptr;
        };
        if (!table_.open) throw unsupported("open");
        lb_error error = abi::sized<lb_error>();
        abi::raise(table_.open(&host_, abi::str(choice.config), &self_, &error), error, "plugin " + name_);
    }
    ~Instance()
    {
        if (table_.close) table_.close(self_);
    }
    Instance(const Instance &) = delete;
    Instance &operator=(const Instance &) = delete;

    const std::string &name() const noexcept { return name_; }
    bool serial() const noexcept { return table_.threads != LB_PARALLEL; }

    uint64_t capabilities() const
    {
        if constexpr (requires { table_.capabilities; })
            return table_.capabilities ? guarded([&] { return table_.capabilities(self_); }) : 0;
        return 0;
    }

    uint64_t as_of_ms() const { return table_.as_of_ms ? guarded([&] { return table_.as_of_ms(self_); }) : 0; }

    /// Calls `table.*function(self, args..., &error)`; a code becomes the exception.
    template <class Function, class... Args>
    void call(const std::string &object, const char *what, Function Table::*function, Args... args) const
    {
        const Function entry = table_.*function;
        if (!entry) throw unsupported(what);
        lb_error error = abi::sized<lb_error>();
        abi::raise(guarded([&] { return entry(self_, args..., &error); }), error, object);
    }

    /// As call(), with a receiver behind the arguments. What its body threw goes before what the plugin made of it, and
    /// once it had enough, nothing that the plugin says matters.
    template <class Function, class... Received, class... Args>
    void receive(const std::string &object, const char *what, Function Table::*function,
                 Receiver<Received...> &receiver, Args... args) const
    {
        const Function entry = table_.*function;
        if (!entry) throw unsupported(what);
        lb_error error = abi::sized<lb_error>();
        const int32_t code =
            guarded([&] { return entry(self_, args..., receiver.receive, static_cast<void *>(&receiver), &error); });
        receiver.rethrow();
        if (!receiver.enough()) abi::raise(code, error, object);
    }

private:
    template <class Body>
    auto guarded(Body body) const
    {
        std::unique_lock<Turns> lock(turns_, std::defer_lock);
        if (serial()) lock.lock();
        return body();
    }
    Error unsupported(const char *what) const
    {
        return Error(Code::unsupported, "plugin " + name_ + ": '" + what + "' is not supported");
    }

    std::string name_;
    LogFunction log_;
    const lb_reader *reader_;
    Table table_;
    lb_host host_{};
    void *self_ = nullptr;
    mutable Turns turns_;
};

// A blocking call of a plugin that takes one at a time is asked in slices, or nobody could stop what it waits for.
constexpr auto slice = std::chrono::milliseconds(100);

class ImportedStore final : public BuildStore {
public:
    ImportedStore(const void *table, const PluginChoice &choice, const LogFunction &log)
        : plugin_(table, choice, log, nullptr)
    {
    }

    uint64_t capabilities() const override { return plugin_.capabilities(); }

    std::vector<std::string> teams(const Call &call) override
    {
        std::vector<std::string> out;
        Receiver<lb_str> receiver([&](lb_str team) {
            // A name that could lead elsewhere is nobody's team, whatever the plugin says.
            if (is_team(abi::view(team))) out.push_back(abi::text(team));
            return true;
        });
        const OutgoingCall outgoing(call);
        plugin_.receive("store", "teams", &lb_store::teams, receiver, outgoing.get());
        return out;
    }

    void list(const Call &call, const Query &query, const EntrySink &each) override
    {
        Receiver<const lb_entry *, size_t> receiver([&](const lb_entry *entries, size_t count) {
            bool more = true;
            abi::for_each(entries, count, [&](const lb_entry &entry) {
                // An entry that names no build is none.
                if (more && entry.runid >= 1) more = each(abi::from_c(entry));
            });
            return more;
        });
        lb_query raw = abi::sized<lb_query>();
        raw.scope = static_cast<uint32_t>(query.scope);
        raw.team = abi::str(query.team);
        raw.before = query.before;
        raw.limit = query.limit;
        const OutgoingCall outgoing(call);
        plugin_.receive(query.team, "list", &lb_store::list, receiver, outgoing.get(),
                        static_cast<const lb_query *>(&raw));
    }

    Entry find(const Call &call, const BuildName &build) override
    {
        return one_entry(call, build, "find", &lb_store::find);
    }
    Entry archive(const Call &call, const BuildName &build) override
    {
        return one_entry(call, build, "archive", &lb_store::archive);
    }
    Entry restore(const Call &call, const BuildName &build) override
    {
        return one_entry(call, build, "restore", &lb_store::restore);
    }

    Entry create(const Call &call, const NewBuild &build) override
    {
        std::vector<lb_file> files;
        for (const auto &[name, content] : build.files) {
            lb_file file = abi::sized<lb_file>();
            file.name = abi::str(name);
            file.content = abi::str(content);
            files.push_back(file);
        }
        lb_new_build raw = abi::sized<lb_new_build>();
        raw.team = abi::str(build.team);
        raw.uuid = abi::str(build.uuid);
        raw.document = abi::str(build.document);
        raw.files = files.data();
        raw.file_count = files.size();
        return take_entry(build.team, [&](lb_entries_fn fn, void *ctx) {
            const OutgoingCall outgoing(call);
            plugin_.call(build.team, "create", &lb_store::create, outgoing.get(), static_cast<const lb_new_build *>(&raw),
                         fn, ctx);
        });
    }

    std::vector<std::string> tags(const Call &call, const BuildName &build) override
    {
        std::vector<std::string> out;
        Receiver<lb_str> receiver([&](lb_str tag) {
            out.push_back(abi::text(tag));
            return true;
        });
        const OutgoingCall outgoing(call);
        const lb_build raw = abi::to_c(build);
        plugin_.receive(to_string(build), "tags", &lb_store::tags, receiver, outgoing.get(), &raw);
        return out;
    }

    void edit_tags(const Call &call, const BuildName &build, std::span<const std::string> add,
                   std::span<const std::string> remove) override
    {
        const std::vector<lb_str> added = abi::to_c(add);
        const std::vector<lb_str> removed = abi::to_c(remove);
        const OutgoingCall outgoing(call);
        const lb_build raw = abi::to_c(build);
        plugin_.call(to_string(build), "edit_tags", &lb_store::edit_tags, outgoing.get(), &raw, added.data(),
                     added.size(), removed.data(), removed.size());
    }

    void read(const Call &call, const BuildName &build, std::string_view name, uint64_t offset, uint64_t max,
              const TextSink &sink) override
    {
        // `max` bounds what callers keep in memory, and so is not left to the plugin's good will.
        uint64_t left = max > 0 ? max : UINT64_MAX;
        Receiver<lb_str> receiver([&](lb_str piece) {
            const std::string_view text = abi::view(piece).substr(0, left);
            left -= text.size();
            return sink(text) && left > 0;
        });
        const OutgoingCall outgoing(call);
        const lb_build raw = abi::to_c(build);
        plugin_.receive(to_string(build), "read", &lb_store::read, receiver, outgoing.get(), &raw, abi::str(name),
                        offset, max);
    }

    void write_control(const Call &call, const BuildName &build, std::string_view name, std::string_view content) override
    {
        const OutgoingCall outgoing(call);
        const lb_build raw = abi::to_c(build);
        plugin_.call(to_string(build), "write_control", &lb_store::write_control, outgoing.get(), &raw, abi::str(name),
                     abi::str(content));
    }

    void remove(const Call &call, const BuildName &build) override
    {
        const OutgoingCall outgoing(call);
        const lb_build raw = abi::to_c(build);
        plugin_.call(to_string(build), "remove", &lb_store::remove, outgoing.get(), &raw);
    }

    void examine(const Call &call, const std::string &team, Repair repair, const FindingSink &each) override
    {
        Receiver<const lb_finding *> receiver([&](const lb_finding *finding) { return each(abi::from_c(finding)); });
        const OutgoingCall outgoing(call);
        plugin_.receive(team, "examine", &lb_store::examine, receiver, outgoing.get(), abi::str(team),
                        static_cast<uint32_t>(repair));
    }

    void watch(const Call &call, const std::string &team, const ChangeSink &each) override
    {
        // Who takes one call at a time would take no other while it watches, and in slices it would miss what happens
        // between two of them.
        if (plugin_.serial())
            throw Error(Code::unsupported, "plugin " + plugin_.name() + ": 'watch' is not supported");
        Receiver<const lb_change *> receiver([&](const lb_change *change) {
            const std::optional<Change> known = abi::from_c(change);
            return !known || each(*known);
        });
        const OutgoingCall outgoing(call);
        plugin_.receive(team, "watch", &lb_store::watch, receiver, outgoing.get(), abi::str(team));
    }

    std::chrono::nanoseconds age(const Call &call, const BuildName &build, std::string_view name) override
    {
        int64_t age = 0;
        const OutgoingCall outgoing(call);
        const lb_build raw = abi::to_c(build);
        plugin_.call(to_string(build), "age", &lb_store::age, outgoing.get(), &raw, abi::str(name), &age);
        return std::chrono::nanoseconds(std::max<int64_t>(age, 0));
    }

    std::chrono::milliseconds as_of() const override { return abi::milliseconds_of(plugin_.as_of_ms()); }

private:
    using EntryFunction = int32_t (*)(void *, const lb_call *, const lb_build *, lb_entries_fn, void *, lb_error *);

    template <class Ask>
    Entry take_entry(const std::string &object, Ask ask) const
    {
        std::optional<Entry> out;
        Receiver<const lb_entry *, size_t> receiver([&](const lb_entry *entries, size_t count) {
            abi::for_each(entries, count, [&](const lb_entry &entry) { out = abi::from_c(entry); });
            return true;
        });
        ask(receiver.receive, static_cast<void *>(&receiver));
        receiver.rethrow();
        if (!out) throw Error(Code::internal, object + ": plugin " + plugin_.name() + " gave no answer");
        return *out;
    }

    Entry one_entry(const Call &call, const BuildName &build, const char *what, EntryFunction lb_store::*function) const
    {
        return take_entry(to_string(build), [&](lb_entries_fn fn, void *ctx) {
            const OutgoingCall outgoing(call);
            const lb_build raw = abi::to_c(build);
            plugin_.call(to_string(build), what, function, outgoing.get(), &raw, fn, ctx);
        });
    }

    Instance<lb_store> plugin_;
};

class ImportedStatus final : public StatusSource {
public:
    ImportedStatus(const void *table, const PluginChoice &choice, const LogFunction &log,
                   std::shared_ptr<BuildStore> store)
        : store_(std::move(store)), reader_(make_reader(store_.get())), plugin_(table, choice, log, &reader_)
    {
    }

    Status status(const Call &call, const BuildName &build) override
    {
        std::optional<Status> out;
        Receiver<const lb_status *> receiver([&](const lb_status *status) {
            out = abi::from_c(status);
            return true;
        });
        const OutgoingCall outgoing(call);
        const lb_build raw = abi::to_c(build);
        plugin_.receive(to_string(build), "status", &lb_status_source::status, receiver, outgoing.get(), &raw);
        if (!out) throw Error(Code::internal, to_string(build) + ": plugin " + plugin_.name() + " gave no status");
        return *out;
    }

    void poll(const Call &call, const BuildName &build, uint64_t cursor, const EventSink &each) override
    {
        bool any = false;
        Receiver<const lb_event *> receiver([&](const lb_event *event) {
            any = true;
            return each(abi::from_c(event));
        });
        const lb_build raw = abi::to_c(build);
        for (;;) {
            const Call part = plugin_.serial() ? call.at_most(slice) : call;
            const OutgoingCall outgoing(part);
            plugin_.receive(to_string(build), "poll", &lb_status_source::poll, receiver, outgoing.get(), &raw, cursor);
            if (any || !part.expired() || call.expired()) return;
        }
    }

private:
    static lb_reader make_reader(BuildStore *store)
    {
        lb_reader out = abi::sized<lb_reader>();
        out.ctx = store;
        out.read = [](void *ctx, const lb_call *call, const lb_build *build, lb_str name, uint64_t offset, uint64_t max,
                      lb_text_fn fn, void *fn_ctx, lb_error *error) noexcept {
            return abi::guard(error, [&] {
                static_cast<BuildStore *>(ctx)->read(
                    Call(call), abi::from_c(build), abi::view(name), offset, max,
                    [&](std::string_view piece) { return fn(fn_ctx, abi::str(piece)) == 0; });
            });
        };
        return out;
    }

    std::shared_ptr<BuildStore> store_;
    lb_reader reader_;
    Instance<lb_status_source> plugin_;
};

class ImportedProcess final : public ProcessController {
public:
    ImportedProcess(const void *table, const PluginChoice &choice, const LogFunction &log)
        : plugin_(table, choice, log, nullptr)
    {
    }

    uint64_t capabilities() const override { return plugin_.capabilities(); }

    std::string launch(const Call &call, const LaunchSpec &spec) override
    {
        std::string token;
        Receiver<lb_str> receiver([&](lb_str text) {
            token = abi::text(text);
            return true;
        });
        const std::vector<lb_str> argv = abi::to_c(spec.command);
        const std::vector<lb_str> env = abi::to_c(spec.environment);
        lb_launch raw = abi::sized<lb_launch>();
        raw.team = abi::str(spec.build.team);
        raw.runid = spec.build.runid;
        raw.uuid = abi::str(spec.uuid);
        raw.folder = abi::str(spec.folder);
        raw.argv = argv.data();
        raw.argv_count = argv.size();
        raw.env = env.data();
        raw.env_count = env.size();
        raw.limits = abi::str(spec.limits);
        raw.options = abi::str(spec.options);
        const OutgoingCall outgoing(call);
        plugin_.receive(to_string(spec.build), "launch", &lb_process_controller::launch, receiver, outgoing.get(),
                        static_cast<const lb_launch *>(&raw));
        if (token.empty() || token.size() > 4096)
            throw Error(Code::internal, to_string(spec.build) + ": plugin " + plugin_.name() + " gave no good token");
        return token;
    }

    Probe probe(const Call &call, const std::string &token) override
    {
        Probe out;
        Receiver<const lb_probe *> receiver = receive_probe(out);
        const OutgoingCall outgoing(call);
        plugin_.receive("process", "probe", &lb_process_controller::probe, receiver, outgoing.get(), abi::str(token));
        return out;
    }

    Probe wait(const Call &call, const std::string &token) override
    {
        Probe out;
        Receiver<const lb_probe *> receiver = receive_probe(out);
        for (;;) {
            const Call part = plugin_.serial() ? call.at_most(slice) : call;
            const OutgoingCall outgoing(part);
            plugin_.receive("process", "wait", &lb_process_controller::wait, receiver, outgoing.get(), abi::str(token));
            if (out.life == Life::gone || !part.expired() || call.expired()) return out;
        }
    }

    StopReport stop(const Call &call, const std::string &token, const std::string &uuid,
                    std::span<const StopStep> plan) override
    {
        StopReport out;
        out.outcome = StopOutcome::incomplete;
        Receiver<const lb_stop_report *> receiver([&](const lb_stop_report *report) {
            out = abi::from_c(report);
            return true;
        });
        const std::vector<lb_stop_step> steps = abi::to_c(plan);
        const OutgoingCall outgoing(call);
        plugin_.receive("process", "stop", &lb_process_controller::stop, receiver, outgoing.get(), abi::str(token),
                        abi::str(uuid), steps.data(), steps.size());
        return out;
    }

private:
    static Receiver<const lb_probe *> receive_probe(Probe &out)
    {
        return Receiver<const lb_probe *>([&out](const lb_probe *probe) {
            out = abi::from_c(probe);
            return true;
        });
    }

    Instance<lb_process_controller> plugin_;
};

}  // namespace

std::shared_ptr<BuildStore> import_store(const void *table, const PluginChoice &choice, const LogFunction &log)
{
    return std::make_shared<ImportedStore>(table, choice, log);
}

std::shared_ptr<StatusSource> import_status(const void *table, const PluginChoice &choice, const LogFunction &log,
                                            const std::shared_ptr<BuildStore> &store)
{
    return std::make_shared<ImportedStatus>(table, choice, log, store);
}

std::shared_ptr<ProcessController> import_process(const void *table, const PluginChoice &choice,
                                                  const LogFunction &log)
{
    return std::make_shared<ImportedProcess>(table, choice, log);
}

}  // namespace litbuild::detail
