// Each operation of the store, on a build that is ready for it, and what is true once it was done, however often it was tried.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "folder_fixture.hpp"

namespace nfs_fixture {

using namespace fixture;

struct Operation {
    const char *name;
    std::function<void(BuildStore &)> prepare;
    std::function<void(BuildStore &, const Call &)> run;
    /// Empty: as it must be. Looks at the disk of the server.
    std::function<std::string(const fs::path &logs)> fault;
};

/// The folders of that run id, live and archived.
inline std::string places(const fs::path &logs, int64_t runid)
{
    std::string text;
    for (const char *folder : {"", "archive"}) {
        const fs::path path = logs / folder / std::to_string(runid);
        if (!fs::exists(path)) continue;
        text += (text.empty() ? "" : " ") + std::string(*folder ? "archive" : "live");
        if (slurp(path / "events.jsonl") != "{}\n") text += " (not whole)";
    }
    return text;
}

inline std::vector<Operation> operations()
{
    const BuildName one{"contoso", 1};
    static const std::string tag = "gold";
    const auto make = [](BuildStore &store) { store.create(Call(), new_build("contoso", 1)); };
    const auto make_archived = [=](BuildStore &store) {
        make(store);
        store.archive(Call(), one);
    };
    const auto is = [](const std::string &found, const std::string &wanted) {
        return found == wanted ? "" : "it is '" + found + "' and not '" + wanted + "'";
    };
    const auto stays = [=](const fs::path &logs) { return is(places(logs, 1), "live"); };
    return {
        {"create", [](BuildStore &) {},
         [](BuildStore &store, const Call &call) { store.create(call, new_build("contoso", 1)); },
         [=](const fs::path &logs) {
             // One that was not answered for may be there, too: each of them whole.
             for (int64_t id = 1; fs::exists(logs / std::to_string(id)); ++id)
                 if (places(logs, id) != "live" ||
                     slurp(logs / std::to_string(id) / "build.json").find(uuid(1)) == std::string::npos)
                     return std::to_string(id) + ": " + places(logs, id);
             return is(fs::exists(logs / "1") ? "there" : "nowhere", "there");
         }},
        {"archive", make, [=](BuildStore &store, const Call &call) { store.archive(call, one); },
         [=](const fs::path &logs) { return is(places(logs, 1), "archive"); }},
        {"restore", make_archived, [=](BuildStore &store, const Call &call) { store.restore(call, one); }, stays},
        {"edit_tags", make, [=](BuildStore &store, const Call &call) { store.edit_tags(call, one, {&tag, 1}, {}); },
         [=](const fs::path &logs) { return is(places(logs, 1) + " " + slurp(logs / "1/tags"), "live gold\n"); }},
        {"write_control", make, [=](BuildStore &store, const Call &call) { store.write_control(call, one, "stop", "now"); },
         [=](const fs::path &logs) { return is(places(logs, 1) + " " + slurp(logs / "1/.control/stop"), "live now"); }},
        {"remove", make_archived,
         [=](BuildStore &store, const Call &call) {
             try {
                 store.remove(call, one);
             } catch (const Error &error) {
                 // Done by the one before, which was not answered.
                 if (error.code() != Code::not_found) throw;
             }
         },
         [=](const fs::path &logs) {
             return is(places(logs, 1) + (fs::exists(logs / ".removed/1") ? "marked" : ""), "marked");
         }},
        {"list", make, [](BuildStore &store, const Call &call) {
             std::string found;
             store.list(call, {"contoso", Scope::all, 0, 0}, [&](const Entry &entry) {
                 found += std::to_string(entry.runid);
                 return true;
             });
             if (found != "1") throw std::runtime_error("list: " + found);
         }, stays},
        {"read", make, [=](BuildStore &store, const Call &call) {
             std::string text;
             store.read(call, one, "events.jsonl", 0, 0, [&](std::string_view piece) {
                 text += piece;
                 return true;
             });
             if (text != "{}\n") throw std::runtime_error("read: " + text);
         }, stays},
    };
}

}  // namespace nfs_fixture
