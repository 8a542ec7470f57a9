// The changes that a store makes, each on the team contoso of a root, and what is said of how it went. Used by the tests,
// and by the program that is killed: it knows nothing yet, as a process that was just started.
#pragma once

#include <cstdio>
#include <filesystem>
#include <memory>
#include <ostream>

#include "plugins.hpp"

extern "C" {
extern const lb_plugin litbuild_plugin_local_fs;
}

namespace support {

using namespace litbuild;
using Stored = std::shared_ptr<BuildStore>;

/// Where the archive of the team lies: on the file system of the main list, or on another.
enum class Archive { here, elsewhere };

/// The build that things are done to.
inline constexpr int64_t target_runid = 3;
/// The number of the draft that the first try makes; the next ones follow.
inline constexpr int first_draft = 1000;

enum class Effect { moves, removes, tags, control, creates };

struct Operation {
    const char *name;
    Effect effect;
    Archive archive = Archive::here;
    bool starts_archived = false;
    const char *team = "contoso";   ///< of a new build
};

inline std::ostream &operator<<(std::ostream &out, const Operation &operation) { return out << operation.name; }

inline const Operation operations[] = {
    {"create", Effect::creates},
    {"create, the first of its team", Effect::creates, Archive::here, false, "fabrikam"},
    {"archive", Effect::moves},
    {"restore", Effect::moves, Archive::here, true},
    {"archive to another file system", Effect::moves, Archive::elsewhere},
    {"restore from another file system", Effect::moves, Archive::elsewhere, true},
    {"remove", Effect::removes, Archive::here, true},
    {"remove on another file system", Effect::removes, Archive::elsewhere, true},
    {"edit_tags", Effect::tags},
    {"edit_tags of an archived build", Effect::tags, Archive::elsewhere, true},
    {"write_control", Effect::control},
};

/// Null: there is none of that name.
inline const Operation *operation_of(std::string_view name)
{
    for (const Operation &operation : operations)
        if (operation.name == name) return &operation;
    return nullptr;
}

/// What a traced process says of its try, over shared memory.
struct Report {
    enum class End { none, done, failed, threw };
    End end = End::none;
    int64_t runid = 0;
    Code code = Code::internal;
    int os_errno = 0;
    char sentence[600] = {};
};

/// The store of local-fs over the plugin contract, as the engine opens it.
inline Stored open_store(const std::filesystem::path &root)
{
    static const detail::Registry registry({&litbuild_plugin_local_fs}, {});
    return detail::import_store(registry.table("local-fs", LB_STORE_ID), {"local-fs", R"({"root": ")" + root.string() + "\"}"}, {});
}

inline std::string uuid_of(int number)
{
    char text[48];
    std::snprintf(text, sizeof text, "%08d-0000-4000-8000-%012d", number, number);
    return text;
}

inline NewBuild draft(const std::string &of, int number)
{
    const std::string events = R"({"seq":1,"time":"2024-05-01T08:00:00Z","type":"queued","state":"queued","uuid":")" + uuid_of(number) +
                               "\",\"steps\":[\"load\"]}\n";
    const std::string end = R"({"seq":2,"time":"2024-05-01T08:00:01Z","type":"finished","state":"complete","exit_code":0})" "\n";
    const std::string snapshot = R"({"seq":2,"offset":)" + std::to_string(events.size() + end.size()) +
                                 R"(,"state":"complete","time":"2024-05-01T08:00:01Z","current_step":null,"steps":[]})" "\n";
    return {of, uuid_of(number), R"({"team":")" + of + R"(","uuid":")" + uuid_of(number) + R"(","created":"2024-05-01T08:00:00Z","spec":{}})",
            {{"events.jsonl", events + end}, {"status.json", snapshot}, {"tags", "new\n"}}};
}

inline void act(const Operation &operation, BuildStore &store, Report &report, int number)
{
    const Call call;
    const BuildName target{"contoso", target_runid};
    const std::vector<std::string> add = {"cyan", "gold"}, remove = {"blue"};
    try {
        switch (operation.effect) {
        case Effect::creates: report.runid = store.create(call, draft(operation.team, first_draft + number)).runid; break;
        case Effect::moves: operation.starts_archived ? store.restore(call, target) : store.archive(call, target); break;
        case Effect::removes: store.remove(call, target); break;
        case Effect::tags: store.edit_tags(call, target, add, remove); break;
        case Effect::control: store.write_control(call, target, "mark", "whole\n"); break;
        }
        report.end = Report::End::done;
    } catch (const Error &error) {
        report.end = Report::End::failed;
        report.code = error.code();
        report.os_errno = error.os_errno();
        std::snprintf(report.sentence, sizeof report.sentence, "%s", error.what());
    } catch (const std::exception &error) {
        report.end = Report::End::threw;
        std::snprintf(report.sentence, sizeof report.sentence, "%s", error.what());
    }
}

}  // namespace support
