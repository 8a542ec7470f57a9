// BuildStore and StatusSource over the tables of plugins.
#include "instance.hpp"

namespace litbuild::detail {

namespace {

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
        const lb_new_build raw = abi::to_c(build, files);
        return take_entry(build.team, [&](lb_entries_fn fn, void *ctx) {
            const OutgoingCall outgoing(call);
            plugin_.call(build.team, "create", &lb_store::create, outgoing.get(), &raw,
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

    std::string version(const Call &call, const std::string &team) override
    {
        std::string out;
        Receiver<lb_str> receiver([&](lb_str text) {
            out = abi::text(text);
            return true;
        });
        const OutgoingCall outgoing(call);
        plugin_.receive(team, "version", &lb_store::version, receiver, outgoing.get(), abi::str(team));
        return out;
    }

    std::vector<std::string> notes(const Call &call, const std::string &team) override
    {
        std::vector<std::string> out;
        Receiver<lb_str> receiver([&](lb_str name) {
            out.push_back(abi::text(name));
            return true;
        });
        const OutgoingCall outgoing(call);
        plugin_.receive(team, "notes", &lb_store::notes, receiver, outgoing.get(), abi::str(team));
        return out;
    }

    void read_note(const Call &call, const std::string &team, std::string_view name, const TextSink &sink) override
    {
        Receiver<lb_str> receiver([&](lb_str piece) { return sink(abi::view(piece)); });
        const OutgoingCall outgoing(call);
        plugin_.receive(team, "read_note", &lb_store::read_note, receiver, outgoing.get(), abi::str(team), abi::str(name));
    }

    void write_note(const Call &call, const std::string &team, std::string_view name, std::string_view content,
                    Durable durable) override
    {
        const OutgoingCall outgoing(call);
        plugin_.call(team, "write_note", &lb_store::write_note, outgoing.get(), abi::str(team), abi::str(name),
                     abi::str(content), durable == Durable::yes ? 1u : 0u);
    }

    bool swap_note(const Call &call, const std::string &team, std::string_view name, std::string_view before,
                   std::string_view content, Durable durable) override
    {
        uint32_t done = 0;
        const OutgoingCall outgoing(call);
        plugin_.call(team, "swap_note", &lb_store::swap_note, outgoing.get(), abi::str(team), abi::str(name),
                     abi::str(before), abi::str(content), durable == Durable::yes ? 1u : 0u, &done);
        return done != 0;
    }

    void remove_note(const Call &call, const std::string &team, std::string_view name) override
    {
        const OutgoingCall outgoing(call);
        plugin_.call(team, "remove_note", &lb_store::remove_note, outgoing.get(), abi::str(team), abi::str(name));
    }

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

}  // namespace litbuild::detail
