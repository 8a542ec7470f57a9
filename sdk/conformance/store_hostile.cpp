// Names from outside that would lead elsewhere.
#include <algorithm>
#include <filesystem>
#include <fstream>

#include "checks.hpp"
#include "store.hpp"

namespace litbuild::conformance {

namespace {

namespace fs = std::filesystem;

/// Everything below a folder, by relative path.
std::string tree_of(const fs::path &folder)
{
    std::vector<std::string> names;
    for (const fs::directory_entry &each : fs::recursive_directory_iterator(folder))
        names.push_back(fs::relative(each.path(), folder).string());
    std::sort(names.begin(), names.end());
    return joined(names);
}

/// A path beside the check's folder, where nothing is.
std::string escaped(const Context &context) { return context.folder().string() + "-escaped"; }

void team_names(Context &context)
{
    const Store store(context);
    const std::string before = tree_of(context.folder().parent_path());
    const std::string_view zero("a\0b", 3);
    for (const std::string &team :
         {std::string("../escaped"), std::string(".."), std::string("."), std::string(""), std::string("a/b"),
          escaped(context), std::string(".hidden"), std::string(zero), std::string("a\nb"),
          std::string(64, 'x'), std::string(5000, 'y'), std::string("\xff\xfe"), std::string("contoso/../..")}) {
        const auto refused = [&](const Answer &answer) {
            expect(!answer.ok() && answer.code != LB_INTERNAL, answer.what + ": " + described(answer) + " for the team " +
                                                                   quote(team) +
                                                                   ", which is no team's name; LB_INVALID says so");
        };
        refused(store.find({team, 1}));
        refused(store.list(team));
        refused(store.read({team, 1}, "log"));
        const Told<Entry> made = store.create(new_build(team));
        if (made.code != LB_UNSUPPORTED) refused(made);
    }
    expect_same("what lies in the checks' folder after builds of such teams were refused", before,
                tree_of(context.folder().parent_path()));
    expect(!fs::exists(escaped(context)), escaped(context) + ": was made");
}

void run_ids(Context &context)
{
    const Store store(context);
    const std::string team = store.made(fresh_team()).team;
    for (const int64_t runid : {int64_t{0}, int64_t{-1}, INT64_MIN, INT64_MAX}) {
        expect_code(store.find({team, runid}), {LB_INVALID, LB_NOT_FOUND});
        expect_code(store.read({team, runid}, "build.json"), {LB_INVALID, LB_NOT_FOUND});
    }
}

void file_names(Context &context)
{
    const Store store(context);
    const BuildName build = store.made(fresh_team(), {{"log", "mine\n"}});
    const BuildName other = store.made(build.team, {{"log", "another's\n"}});
    const std::string_view zero("log\0.txt", 8);
    for (const std::string &name :
         {"../" + std::to_string(other.runid) + "/log", std::string("../../../../../../../../etc/hostname"),
          std::string("/etc/hostname"), std::string(".."), std::string("."), std::string(""),
          std::string("a/../../" + std::to_string(other.runid) + "/log"),
          std::string("./../" + std::to_string(other.runid) + "/log"), std::string(zero), std::string("log/"),
          std::string(5000, 'x')}) {
        const Told<std::string> told = store.read(build, name);
        expect(!told.ok() && told.value.empty() && told.code != LB_INTERNAL,
               told.what + ": " + described(told) + ", and gave " + quote(told.value) +
                   "; a name that leads out of the build's folder, or is none, is LB_INVALID");
    }
}

void links(Context &context)
{
    const Store store(context);
    if (!store.promises(LB_STORE_LOCAL_PATH))
        skip("the store does not promise LB_STORE_LOCAL_PATH, so nothing can be put there");
    const BuildName build = store.made(fresh_team());
    const Told<Entry> entry = store.find(build);
    expect_ok(entry);
    const fs::path folder = entry.value.path, secret = context.folder() / ".secret";
    fs::create_directories(secret);
    std::ofstream(secret / "key") << "secret\n";
    fs::create_symlink(secret / "key", folder / "link");
    fs::create_directory_symlink(secret, folder / "folder");
    for (const char *name : {"link", "folder/key"}) {
        const Told<std::string> told = store.read(build, name);
        expect(!told.ok() && told.value.empty(),
               told.what + ", where a symbolic link leads out of the build's folder: " + described(told) + ", and gave " +
                   quote(told.value) + "; a build's files are hostile input");
    }
}

void control_names(Context &context)
{
    const Store store(context);
    const BuildName build = store.made(fresh_team(), {{"log", "mine\n"}});
    expect_ok(store.write_control(build, "good", "x"));
    const std::string before = tree_of(context.folder().parent_path());
    for (const std::string &name : {std::string("../log"), std::string("../../escaped"), escaped(context),
                                    std::string(".."), std::string(""), std::string("a/../../log"), std::string(5000, 'x')}) {
        const Answer answer = store.write_control(build, name, "overwritten");
        expect(!answer.ok() && answer.code != LB_INTERNAL,
               answer.what + ": " + described(answer) +
                   "; it writes .control/NAME, and a name that leads elsewhere is LB_INVALID");
    }
    expect_same("log of the build", quote("mine\n"), quote(store.text(build, "log")));
    expect_same("what lies in the checks' folder after such names were refused", before,
                tree_of(context.folder().parent_path()));
}

void new_file_names(Context &context)
{
    const Store store(context);
    const std::string team = store.made(fresh_team()).team;
    for (const std::string &name :
         {std::string("../escaped"), escaped(context), std::string(".."), std::string("")}) {
        const Told<Entry> made = store.create(new_build(team, {{name, "escaped"}}));
        expect(!made.ok() && made.code != LB_INTERNAL, made.what + " with a file " + quote(name) + ": " + described(made) +
                                                           "; a bare file name is asked for, and LB_INVALID where it is none");
    }
    expect_same("builds of " + team + " after such were refused", "1 build",
                std::to_string(store.list(team, Scope::all).value.size()) + " build");
    expect(!fs::exists(escaped(context)), escaped(context) + ": was made");
}

constexpr Check checks[] = {
    {"store.hostile-team-names", "A team's name that is none makes nothing and finds nothing.", "names.hpp, is_team",
     team_names},
    {"store.hostile-run-ids", "A run id that is none finds nothing.", "lb_build.runid", run_ids},
    {"store.hostile-file-names", "A file's name never leads out of the build's folder.", "lb_store.read", file_names},
    {"store.hostile-links", "Nor does a symbolic link in the build's folder.", "lb_store.read", links},
    {"store.hostile-control-names", "A control file's name never leads out of .control.", "lb_store.write_control",
     control_names},
    {"store.hostile-new-files", "The files of a new build have bare names.", "lb_file.name", new_file_names},
};

}  // namespace

std::span<const Check> store_hostile_checks() { return checks; }

}  // namespace litbuild::conformance
