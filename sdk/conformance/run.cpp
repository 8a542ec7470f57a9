#include <litbuild/version.hpp>

#include "calls.hpp"
#include "checks.hpp"
#include "child.hpp"

namespace litbuild::conformance {

namespace {

std::vector<Check> gathered()
{
    std::vector<Check> out;
    const auto add = [&](std::span<const Check> more) { out.insert(out.end(), more.begin(), more.end()); };
    add(library_checks());
    const std::vector<Check> edge = edge_checks();
    const auto add_edge = [&](std::string_view interface) {
        for (const Check &check : edge)
            if (std::string_view(check.name).starts_with(interface)) out.push_back(check);
    };
    add_edge("store.");
    for (const auto &part : {store_making_checks(), store_listing_checks(), store_moving_checks(), store_content_checks(),
                             store_hostile_checks(), store_crowd_checks(), store_promise_checks(), store_later_checks(), store_note_checks()})
        add(part);
    add_edge("status.");
    add(status_checks());
    add_edge("process.");
    add(process_checks());
    return out;
}

constexpr const char *function_names(const lb_store *, size_t i)
{
    constexpr const char *names[] = {"teams", "list", "find", "create", "archive", "restore", "tags", "edit_tags",
                                     "read", "write_control", "remove", "examine", "watch", "age", "as_of_ms",
                                     "version", "notes", "read_note", "write_note", "swap_note", "remove_note"};
    return i < std::size(names) ? names[i] : nullptr;
}
constexpr const char *function_names(const lb_status_source *, size_t i)
{
    constexpr const char *names[] = {"status", "poll"};
    return i < std::size(names) ? names[i] : nullptr;
}
constexpr const char *function_names(const lb_process_controller *, size_t i)
{
    constexpr const char *names[] = {"launch", "probe", "stop", "wait", "held", "forget"};
    return i < std::size(names) ? names[i] : nullptr;
}

/// The functions stand one behind the other, from `first` on.
template <class Table, class First>
std::string table_line(const void *raw, const std::string &id, First Table::*first)
{
    const Table *table = static_cast<const Table *>(raw);
    const Table copied = abi::copy(table);
    std::string there, missing;
    const char *at = reinterpret_cast<const char *>(&(copied.*first));
    for (size_t i = 0; const char *name = function_names(table, i); ++i, at += sizeof(void *)) {
        void *function = nullptr;
        std::memcpy(&function, at, sizeof function);
        (function ? there : missing) += " " + std::string(name);
    }
    return id + "\n" + std::to_string(table->struct_size) + "\n" + (table->threads == LB_PARALLEL ? "parallel" : "serial") +
           "\n" + there + "\n" + missing + "\n";
}

std::vector<std::string> split(const std::string &text, char between)
{
    std::vector<std::string> out;
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find(between, at), text.size());
        if (between == '\n' || end > at) out.push_back(text.substr(at, end - at));
        at = end + 1;
    }
    return out;
}

}  // namespace

const char *name(Verdict verdict) noexcept
{
    switch (verdict) {
    case Verdict::passed: return "passed";
    case Verdict::failed: return "failed";
    case Verdict::crashed: return "crashed";
    case Verdict::ended: return "ended";
    case Verdict::hung: return "hung";
    case Verdict::skipped: return "skipped";
    }
    return "failed";
}

std::vector<Check> all_checks()
{
    static const std::vector<Check> all = gathered();
    return all;
}

std::vector<Result> run(const Subject &subject, std::span<const Check> checks, std::chrono::milliseconds limit,
                        const std::function<void(const Result &)> &each)
{
    const WorkFolder work;
    size_t count = 0;
    const auto run_one = [&](const std::function<std::string(Context &)> &body) {
        const std::filesystem::path folder = work.path() / std::to_string(++count), output = work.path() / "output";
        std::filesystem::create_directory(folder);
        std::filesystem::remove(output);
        Result result = in_child(output, limit, [&] {
            Context context(subject, folder, output);
            return body(context);
        });
        std::error_code error;
        std::filesystem::remove_all(folder, error);
        return result;
    };
    // Which interfaces it has; where it cannot be used, none.
    const Result has = run_one([](Context &context) {
        std::string out;
        for (const char *interface : {"store", "status", "process"})
            if (context.raw_table(interface)) out += std::string(interface) + ".\n";
        return out;
    });
    std::vector<std::string> groups = {"library."};
    if (has.verdict == Verdict::passed)
        for (const std::string &group : split(has.text, '\n')) groups.push_back(group);

    std::vector<Result> out;
    for (const Check &check : checks) {
        const std::string_view called = check.name;
        if (!std::any_of(groups.begin(), groups.end(), [&](const std::string &group) { return called.starts_with(group); }))
            continue;
        Result result = run_one([&](Context &context) {
            check.run(context);
            return std::string();
        });
        result.check = &check;
        out.push_back(std::move(result));
        if (each) each(out.back());
    }
    return out;
}

Description describe(const std::filesystem::path &library, std::chrono::milliseconds limit)
{
    const WorkFolder work;
    const Subject subject{library, {}, {}, {}, {}};
    const Result result = in_child(work.path() / "output", limit, [&] {
        const lb_plugin plugin = abi::copy(load(library));
        std::string text = abi::text(plugin.name) + "\n" + abi::text(plugin.version) + "\n" + std::to_string(plugin.abi >> 16) +
                           "." + std::to_string(plugin.abi & 0xffff) + "\n";
        if (plugin.abi >> 16 != LITBUILD_ABI_MAJOR || !plugin.get) return text;
        Context context(subject, work.path(), work.path() / "output");
        if (const void *raw = context.raw_table("store")) text += table_line(raw, LB_STORE_ID, &lb_store::teams);
        if (const void *raw = context.raw_table("status")) text += table_line(raw, LB_STATUS_ID, &lb_status_source::status);
        if (const void *raw = context.raw_table("process"))
            text += table_line(raw, LB_PROCESS_ID, &lb_process_controller::launch);
        return text;
    });
    if (result.verdict == Verdict::failed) throw Error(Code::unavailable, library.string() + ": " + result.text);
    if (result.verdict != Verdict::passed)
        throw Error(Code::internal,
                    library.string() + ": " + result.text + (result.during.empty() ? "" : ", in " + result.during));
    const std::vector<std::string> lines = split(result.text, '\n');
    Description out{lines.at(0), lines.at(1), lines.at(2), {}};
    for (size_t i = 3; i + 5 <= lines.size(); i += 5)
        out.tables.push_back({lines[i], static_cast<unsigned>(std::stoul(lines[i + 1])), lines[i + 2] == "parallel",
                              split(lines[i + 3], ' '), split(lines[i + 4], ' ')});
    return out;
}

}  // namespace litbuild::conformance
