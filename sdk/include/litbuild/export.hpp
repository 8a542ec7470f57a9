// Makes a plugin of your classes. A whole plugin is a class and one line:
//
//     class MyStore final : public litbuild::BuildStore {
//     public:
//         MyStore(const litbuild::Host &host, std::string_view config);
//         ...
//     };
//     LITBUILD_PLUGIN("my-store", "1.0.0", litbuild::StoreOf<MyStore>)
//
// `config` is a JSON object, the part of the configuration that is this plugin's; the constructor throws
// litbuild::Error(Code::invalid, ...) where it makes no sense. A class that takes one call at a time is exported as
// litbuild::StoreOf<MyStore, LB_SERIAL>. A library that provides several interfaces names them all:
//     LITBUILD_PLUGIN("acme", "2.1.0", litbuild::StoreOf<AcmeStore>, litbuild::StatusOf<AcmeStatus>)
#pragma once

#include <array>
#include <utility>

#include <litbuild/abi.hpp>

namespace litbuild {

/// The engine, as a plugin sees it. Valid until the object that was constructed with it is destroyed; copy it freely.
class Host {
public:
    explicit Host(const lb_host *raw) : raw_(abi::copy(raw)) {}

    /// One line for the operator. `level`: LB_LOG_*. Any thread.
    void log(int level, std::string_view line) const noexcept
    {
        if (raw_.log) raw_.log(raw_.ctx, level, abi::str(line));
    }
    /// Files of builds, through the engine's store. Only in the constructor of a status source.
    /// Code::unsupported: the engine has none to give.
    FileReader reader() const
    {
        const void *found = raw_.service ? raw_.service(raw_.ctx, abi::str(LB_READER_ID)) : nullptr;
        const lb_reader reader = abi::copy(static_cast<const lb_reader *>(found));
        if (!reader.read) throw Error(Code::unsupported, "status source: the engine offers no file reader");
        return [reader](const Call &call, const BuildName &build, std::string_view file, uint64_t offset, uint64_t max,
                        const TextSink &sink) {
            abi::Receiver<lb_str> receiver([&](lb_str piece) { return sink(abi::view(piece)); });
            lb_error error = abi::sized<lb_error>();
            const abi::OutgoingCall outgoing(call);
            const lb_build target = abi::to_c(build);
            const int32_t code = reader.read(reader.ctx, outgoing.get(), &target, abi::str(file), offset, max,
                                             receiver.receive, &receiver, &error);
            receiver.rethrow();
            if (!receiver.enough()) abi::raise(code, error, to_string(build));
        };
    }

private:
    lb_host raw_;
};

namespace abi {

template <class T>
int32_t open(const lb_host *host, lb_str config, void **self, lb_error *error) noexcept
{
    return guard(error, [&] { *self = new T(Host(host), view(config)); });
}

template <class T>
void close(void *self) noexcept
{
    delete static_cast<T *>(self);
}

template <class T>
uint64_t capabilities(void *self) noexcept
{
    return static_cast<T *>(self)->capabilities();
}

inline bool give(lb_entries_fn fn, void *ctx, const Entry &entry)
{
    const lb_entry raw = to_c(entry);
    return fn(ctx, &raw, 1) == 0;
}

/// Collects entries, so that a long list crosses the edge in pages.
class EntryPages {
public:
    EntryPages(lb_entries_fn fn, void *ctx) : fn_(fn), ctx_(ctx) {}
    bool add(const Entry &entry)
    {
        held_[count_++] = entry;
        return count_ < held_.size() || flush();
    }
    bool flush()
    {
        std::array<lb_entry, page> raw;
        for (size_t i = 0; i < count_; ++i) raw[i] = to_c(held_[i]);
        const bool more = count_ == 0 || fn_(ctx_, raw.data(), count_) == 0;
        count_ = 0;
        return more;
    }

private:
    static constexpr size_t page = 256;
    lb_entries_fn fn_;
    void *ctx_;
    std::array<Entry, page> held_;
    size_t count_ = 0;
};

}  // namespace abi

// Hidden, or the tables of two plugins whose classes have one name would be one object in the process (STB_GNU_UNIQUE),
// and the second plugin would be served by the first one's functions.

/// The table of a BuildStore.
template <class T, uint32_t threads = LB_PARALLEL>
struct [[gnu::visibility("hidden")]] StoreOf {
    static constexpr const char *id = LB_STORE_ID;
    static constexpr lb_store table = [] {
        using namespace abi;
        lb_store t = sized<lb_store>();
        t.threads = threads;
        t.open = abi::open<T>;
        t.close = abi::close<T>;
        t.capabilities = abi::capabilities<T>;
        t.teams = [](void *self, const lb_call *call, lb_text_fn fn, void *ctx, lb_error *error) noexcept {
            return guard(error, [&] {
                for (const std::string &team : static_cast<T *>(self)->teams(Call(call)))
                    if (fn(ctx, str(team)) != 0) break;
            });
        };
        t.list = [](void *self, const lb_call *call, const lb_query *query, lb_entries_fn fn, void *ctx,
                    lb_error *error) noexcept {
            return guard(error, [&] {
                const lb_query raw = copy(query);
                EntryPages pages(fn, ctx);
                bool more = true;
                static_cast<T *>(self)->list(Call(call),
                                             {text(raw.team), static_cast<Scope>(raw.scope), raw.before, raw.limit},
                                             [&](const Entry &entry) { return more = pages.add(entry); });
                if (more) pages.flush();
            });
        };
        t.find = [](void *self, const lb_call *call, const lb_build *build, lb_entries_fn fn, void *ctx,
                    lb_error *error) noexcept {
            return guard(error, [&] { give(fn, ctx, static_cast<T *>(self)->find(Call(call), from_c(build))); });
        };
        t.create = [](void *self, const lb_call *call, const lb_new_build *build, lb_entries_fn fn, void *ctx,
                      lb_error *error) noexcept {
            return guard(error, [&] {
                const lb_new_build raw = copy(build);
                NewBuild made{text(raw.team), text(raw.uuid), text(raw.document), {}};
                for_each(raw.files, raw.file_count, [&](const lb_file &file) {
                    made.files.emplace_back(text(file.name), text(file.content));
                });
                give(fn, ctx, static_cast<T *>(self)->create(Call(call), made));
            });
        };
        t.archive = [](void *self, const lb_call *call, const lb_build *build, lb_entries_fn fn, void *ctx,
                       lb_error *error) noexcept {
            return guard(error, [&] { give(fn, ctx, static_cast<T *>(self)->archive(Call(call), from_c(build))); });
        };
        t.restore = [](void *self, const lb_call *call, const lb_build *build, lb_entries_fn fn, void *ctx,
                       lb_error *error) noexcept {
            return guard(error, [&] { give(fn, ctx, static_cast<T *>(self)->restore(Call(call), from_c(build))); });
        };
        t.tags = [](void *self, const lb_call *call, const lb_build *build, lb_text_fn fn, void *ctx,
                    lb_error *error) noexcept {
            return guard(error, [&] {
                for (const std::string &tag : static_cast<T *>(self)->tags(Call(call), from_c(build)))
                    if (fn(ctx, str(tag)) != 0) break;
            });
        };
        t.edit_tags = [](void *self, const lb_call *call, const lb_build *build, const lb_str *add, size_t add_count,
                         const lb_str *remove, size_t remove_count, lb_error *error) noexcept {
            return guard(error, [&] {
                static_cast<T *>(self)->edit_tags(Call(call), from_c(build), from_c(add, add_count),
                                                  from_c(remove, remove_count));
            });
        };
        t.read = [](void *self, const lb_call *call, const lb_build *build, lb_str name, uint64_t offset, uint64_t max,
                    lb_text_fn fn, void *ctx, lb_error *error) noexcept {
            return guard(error, [&] {
                static_cast<T *>(self)->read(Call(call), from_c(build), view(name), offset, max,
                                             [&](std::string_view piece) { return fn(ctx, str(piece)) == 0; });
            });
        };
        t.write_control = [](void *self, const lb_call *call, const lb_build *build, lb_str name, lb_str content,
                             lb_error *error) noexcept {
            return guard(error, [&] {
                static_cast<T *>(self)->write_control(Call(call), from_c(build), view(name), view(content));
            });
        };
        t.remove = [](void *self, const lb_call *call, const lb_build *build, lb_error *error) noexcept {
            return guard(error, [&] { static_cast<T *>(self)->remove(Call(call), from_c(build)); });
        };
        t.examine = [](void *self, const lb_call *call, lb_str team, uint32_t repair, lb_finding_fn fn, void *ctx,
                       lb_error *error) noexcept {
            return guard(error, [&] {
                // A number that is not known here is no order to change anything.
                static_cast<T *>(self)->examine(Call(call), text(team),
                                                repair == LB_REPAIR_YES ? Repair::yes : Repair::no,
                                                [&](const Finding &finding) {
                                                    const lb_finding raw = to_c(finding);
                                                    return fn(ctx, &raw) == 0;
                                                });
            });
        };
        t.watch = [](void *self, const lb_call *call, lb_str team, lb_change_fn fn, void *ctx,
                     lb_error *error) noexcept {
            return guard(error, [&] {
                static_cast<T *>(self)->watch(Call(call), text(team), [&](const Change &change) {
                    const lb_change raw = to_c(change);
                    return fn(ctx, &raw) == 0;
                });
            });
        };
        t.age = [](void *self, const lb_call *call, const lb_build *build, lb_str name, int64_t *age_ns,
                   lb_error *error) noexcept {
            return guard(error, [&] { *age_ns = static_cast<T *>(self)->age(Call(call), from_c(build), view(name)).count(); });
        };
        t.as_of_ms = [](void *self) noexcept -> uint64_t {
            try {
                return static_cast<uint64_t>(std::max<int64_t>(static_cast<T *>(self)->as_of().count(), 0));
            } catch (...) {
                return 0;
            }
        };
        t.version = [](void *self, const lb_call *call, lb_str team, lb_text_fn fn, void *ctx, lb_error *error) noexcept {
            return guard(error, [&] { fn(ctx, str(static_cast<T *>(self)->version(Call(call), text(team)))); });
        };
        t.notes = [](void *self, const lb_call *call, lb_str team, lb_text_fn fn, void *ctx, lb_error *error) noexcept {
            return guard(error, [&] {
                for (const std::string &name : static_cast<T *>(self)->notes(Call(call), text(team)))
                    if (fn(ctx, str(name)) != 0) break;
            });
        };
        t.read_note = [](void *self, const lb_call *call, lb_str team, lb_str name, lb_text_fn fn, void *ctx,
                         lb_error *error) noexcept {
            return guard(error, [&] {
                static_cast<T *>(self)->read_note(Call(call), text(team), view(name),
                                                  [&](std::string_view piece) { return fn(ctx, str(piece)) == 0; });
            });
        };
        t.write_note = [](void *self, const lb_call *call, lb_str team, lb_str name, lb_str content, uint32_t durable,
                          lb_error *error) noexcept {
            return guard(error, [&] {
                static_cast<T *>(self)->write_note(Call(call), text(team), view(name), view(content),
                                                   durable == 0 ? Durable::no : Durable::yes);
            });
        };
        t.swap_note = [](void *self, const lb_call *call, lb_str team, lb_str name, lb_str before, lb_str content,
                         uint32_t durable, uint32_t *done, lb_error *error) noexcept {
            return guard(error, [&] {
                *done = static_cast<T *>(self)->swap_note(Call(call), text(team), view(name), view(before), view(content),
                                                          durable == 0 ? Durable::no : Durable::yes);
            });
        };
        t.remove_note = [](void *self, const lb_call *call, lb_str team, lb_str name, lb_error *error) noexcept {
            return guard(error, [&] { static_cast<T *>(self)->remove_note(Call(call), text(team), view(name)); });
        };
        return t;
    }();
};

/// The table of a StatusSource.
template <class T, uint32_t threads = LB_PARALLEL>
struct [[gnu::visibility("hidden")]] StatusOf {
    static constexpr const char *id = LB_STATUS_ID;
    static constexpr lb_status_source table = [] {
        using namespace abi;
        lb_status_source t = sized<lb_status_source>();
        t.threads = threads;
        t.open = abi::open<T>;
        t.close = abi::close<T>;
        t.status = [](void *self, const lb_call *call, const lb_build *build, lb_status_fn fn, void *ctx,
                      lb_error *error) noexcept {
            return guard(error, [&] {
                std::vector<lb_step> steps;
                const Status status = static_cast<T *>(self)->status(Call(call), from_c(build));
                const lb_status raw = to_c(status, steps);
                fn(ctx, &raw);
            });
        };
        t.poll = [](void *self, const lb_call *call, const lb_build *build, uint64_t cursor, lb_event_fn fn, void *ctx,
                    lb_error *error) noexcept {
            return guard(error, [&] {
                static_cast<T *>(self)->poll(Call(call), from_c(build), cursor, [&](const Event &event) {
                    const lb_event raw = to_c(event);
                    return fn(ctx, &raw) == 0;
                });
            });
        };
        return t;
    }();
};

/// The table of a ProcessController.
template <class T, uint32_t threads = LB_PARALLEL>
struct [[gnu::visibility("hidden")]] ProcessOf {
    static constexpr const char *id = LB_PROCESS_ID;
    static constexpr lb_process_controller table = [] {
        using namespace abi;
        lb_process_controller t = sized<lb_process_controller>();
        t.threads = threads;
        t.open = abi::open<T>;
        t.close = abi::close<T>;
        t.capabilities = abi::capabilities<T>;
        t.launch = [](void *self, const lb_call *call, const lb_launch *launch, lb_text_fn fn, void *ctx,
                      lb_error *error) noexcept {
            return guard(error, [&] {
                const lb_launch raw = copy(launch);
                const LaunchSpec spec{{text(raw.team), raw.runid},
                                      text(raw.uuid),
                                      text(raw.folder),
                                      from_c(raw.argv, raw.argv_count),
                                      from_c(raw.env, raw.env_count),
                                      text(raw.limits),
                                      text(raw.options)};
                fn(ctx, str(static_cast<T *>(self)->launch(Call(call), spec)));
            });
        };
        t.probe = [](void *self, const lb_call *call, lb_str token, lb_probe_fn fn, void *ctx,
                     lb_error *error) noexcept {
            return guard(error, [&] {
                const Probe probe = static_cast<T *>(self)->probe(Call(call), text(token));
                const lb_probe raw = to_c(probe);
                fn(ctx, &raw);
            });
        };
        t.stop = [](void *self, const lb_call *call, lb_str token, lb_str uuid, const lb_stop_step *plan,
                    size_t plan_count, lb_stop_report_fn fn, void *ctx, lb_error *error) noexcept {
            return guard(error, [&] {
                std::vector<lb_process_info> survivors;
                const StopReport report = static_cast<T *>(self)->stop(Call(call), text(token), text(uuid),
                                                                       from_c(plan, plan_count));
                const lb_stop_report raw = to_c(report, survivors);
                fn(ctx, &raw);
            });
        };
        t.wait = [](void *self, const lb_call *call, lb_str token, lb_probe_fn fn, void *ctx,
                    lb_error *error) noexcept {
            return guard(error, [&] {
                const Probe probe = static_cast<T *>(self)->wait(Call(call), text(token));
                const lb_probe raw = to_c(probe);
                fn(ctx, &raw);
            });
        };
        t.held = [](void *self, const lb_call *call, lb_str team, lb_held_fn fn, void *ctx, lb_error *error) noexcept {
            return guard(error, [&] {
                static_cast<T *>(self)->held(Call(call), text(team), [&](const Held &held) {
                    const lb_held raw = to_c(held);
                    return fn(ctx, &raw) == 0;
                });
            });
        };
        t.forget = [](void *self, const lb_call *call, lb_str token, lb_error *error) noexcept {
            return guard(error, [&] { static_cast<T *>(self)->forget(Call(call), text(token)); });
        };
        return t;
    }();
};

namespace abi {

template <class... Tables>
const void *get(lb_str id) noexcept
{
    const void *found = nullptr;
    ((view(id) == Tables::id ? void(found = &Tables::table) : void()), ...);
    return found;
}

}  // namespace abi
}  // namespace litbuild

/// Defines the one exported symbol. Name and version as in the manifest; then StoreOf<>, StatusOf<>, ProcessOf<>.
#define LITBUILD_PLUGIN(plugin_name, plugin_version, ...)                                                              \
    extern "C" LITBUILD_EXPORT const lb_plugin LITBUILD_PLUGIN_SYMBOL = {                                              \
        sizeof(lb_plugin), LITBUILD_ABI, {plugin_name, sizeof(plugin_name) - 1},                                       \
        {plugin_version, sizeof(plugin_version) - 1}, &::litbuild::abi::get<__VA_ARGS__>};
