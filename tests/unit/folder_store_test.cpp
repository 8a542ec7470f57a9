#define BOOST_TEST_MODULE folder_store
#include <boost/test/unit_test.hpp>

#include <set>
#include <thread>

#include <fcntl.h>
#include <sys/stat.h>

#include <folder-store/owner.hpp>
#include <folder-store/tag_list.hpp>

#include "folder_fixture.hpp"

using namespace fixture;

BOTH_WAYS(a_new_build_is_there_whole)
{
    Store store(way);
    NewBuild build{"contoso", uuid(1), " {\"a\": 1}", {{"events.jsonl", "x\n"}, {".spec", ""}}};
    const Entry entry = store.create(Call(), build);
    BOOST_TEST(entry.runid == 1);
    BOOST_TEST(!entry.archived);
    BOOST_TEST(entry.path == (store.logs / "1").string());
    BOOST_TEST(slurp(store.logs / "1/build.json") == " {\"runid\":1,\"a\": 1}");
    BOOST_TEST(slurp(store.logs / "1/events.jsonl") == "x\n");
    BOOST_TEST(fs::is_directory(store.logs / "1/.control"));
    BOOST_TEST(slurp(store.logs / ".next") == "1\n");
    BOOST_TEST(store.teams(Call()) == std::vector<std::string>{"contoso"});
    BOOST_TEST(dotted(store.logs) == std::string(".next") + next_lock);
    const uint64_t shared = over_nfs || is_mounted() ? LB_STORE_SHARED : 0, local = over_nfs ? 0 : LB_STORE_LOCAL_PATH;
    BOOST_TEST(store.capabilities() == (LB_STORE_DURABLE | shared | local));
}

BOTH_WAYS(an_empty_document_takes_the_run_id)
{
    Store store(way);
    store.create(Call(), {"contoso", uuid(1), "{ }", {}});
    BOOST_TEST(slurp(store.logs / "1/build.json") == "{\"runid\":1 }");
}

BOTH_WAYS(bad_new_builds_leave_nothing)
{
    Store store(way);
    const auto refused = [&](NewBuild build) { return failure([&] { store.create(Call(), build); }).substr(0, 8); };
    BOOST_TEST(refused({"..", uuid(1), "{}", {}}) == "invalid;");
    BOOST_TEST(refused({"a/b", uuid(1), "{}", {}}) == "invalid;");
    BOOST_TEST(refused({"contoso", "../../x", "{}", {}}) == "invalid;");
    BOOST_TEST(refused({"contoso", uuid(1), "[]", {}}) == "invalid;");
    BOOST_TEST(refused({"contoso", uuid(1), "{", {}}) == "invalid;");
    BOOST_TEST(refused({"contoso", uuid(1), "", {}}) == "invalid;");
    BOOST_TEST(refused({"contoso", uuid(1), "{}", {{"a/b", ""}}}) == "invalid;");
    BOOST_TEST(refused({"contoso", uuid(1), "{}", {{"build.json", ""}}}) == "invalid;");
    BOOST_TEST(refused({"contoso", uuid(1), "{}", {{"a", ""}, {"a", ""}}}) == "exists; ");
    BOOST_TEST(fs::is_empty(store.logs));
}

BOTH_WAYS(lists_are_in_order_and_in_pages)
{
    Store store(way);
    for (int i = 1; i <= 12; ++i) store.create_one(i);
    for (const int64_t id : {2, 5, 12}) store.archive(Call(), {"contoso", id});
    BOOST_TEST(listed(store, {"contoso", Scope::live, 0, 0}) == "11 10 9 8 7 6 4 3 1");
    BOOST_TEST(listed(store, {"contoso", Scope::archived, 0, 0}) == "a12 a5 a2");
    BOOST_TEST(store.all() == "a12 11 10 9 8 7 6 a5 4 3 a2 1");
    BOOST_TEST(listed(store, {"contoso", Scope::all, 9, 4}) == "8 7 6 a5");
    BOOST_TEST(listed(store, {"contoso", Scope::live, 5, 1}) == "4");
    BOOST_TEST(listed(store, {"contoso", Scope::all, 1, 0}) == "");
    int seen = 0;
    store.list(Call(), {"contoso", Scope::all, 0, 0}, [&](const Entry &) { return ++seen < 3; });
    BOOST_TEST(seen == 3);
}

BOTH_WAYS(archive_and_restore_go_to_and_fro)
{
    Store store(way);
    const BuildName build = store.create_one();
    BOOST_TEST(listed(store, {"contoso", Scope::archived, 0, 0}) == "");
    for (int i = 0; i < 2; ++i) {
        const Entry entry = store.archive(Call(), build);
        BOOST_TEST(entry.archived);
        BOOST_TEST(entry.path == (store.logs / "archive/1").string());
    }
    BOOST_TEST(text_of(store, build, "events.jsonl") == "{}\n");
    BOOST_TEST(store.find(Call(), build).archived);
    for (int i = 0; i < 2; ++i) BOOST_TEST(!store.restore(Call(), build).archived);
    BOOST_TEST(store.find(Call(), build).path == (store.logs / "1").string());
    BOOST_TEST(store.all() == "1");
}

BOTH_WAYS(what_is_not_there_is_named)
{
    Store store(way);
    store.create_one();
    BOOST_TEST(failure([&] { listed(store, {"fabrikam", Scope::all, 0, 0}); }) == "not_found; fabrikam: no such team");
    BOOST_TEST(failure([&] { store.find(Call(), {"fabrikam", 1}); }) == "not_found; fabrikam: no such team");
    BOOST_TEST(failure([&] { store.find(Call(), {"contoso", 2}); }) == "not_found; contoso/2: no such build");
    BOOST_TEST(failure([&] { store.archive(Call(), {"contoso", 2}); }) == "not_found; contoso/2: no such build");
    BOOST_TEST(failure([&] { store.restore(Call(), {"contoso", 2}); }) == "not_found; contoso/2: no such build");
    BOOST_TEST(failure([&] { store.tags(Call(), {"contoso", 2}); }) == "not_found; contoso/2: no such build");
    BOOST_TEST(failure([&] { store.write_control(Call(), {"contoso", 2}, "stop", ""); }) ==
               "not_found; contoso/2: no such build");
    BOOST_TEST(failure([&] { text_of(store, {"contoso", 1}, "log"); }) == "not_found; contoso/1: no such file 'log'");
    BOOST_TEST(failure([&] { text_of(store, {"contoso", 1}, "build.json/x"); }) ==
               "not_found; contoso/1: no such file 'build.json/x'");
    BOOST_TEST(failure([&] { store.remove(Call(), {"contoso", 2}); }) == "not_found; contoso/2: no such build");
    if (over_nfs) return;   // a server is not asked before it is needed
    BOOST_TEST(failure([&] { FolderStore(open_fs((store.path / "no").string(), way)); }) ==
               "not_found; " + (store.path / "no").string() + ": no such folder (root of the builds)");
    BOOST_TEST(failure([&] { PosixFs((store.logs / ".next").string(), way); }).starts_with("invalid;"));
}

BOTH_WAYS(hostile_names_are_refused)
{
    Store store(way);
    const BuildName build = store.create_one();
    spill(store.path / "secret", "x");
    for (const char *team : {"", ".", "..", "../contoso", "/etc", "a b", "-x", ".hidden", "con\ntoso"}) {
        BOOST_TEST(failure([&] { listed(store, {team, Scope::all, 0, 0}); }).starts_with("invalid;"), team);
        BOOST_TEST(failure([&] { store.find(Call(), {team, 1}); }).starts_with("invalid;"), team);
    }
    BOOST_TEST(failure([&] { store.find(Call(), {"contoso", 0}); }).starts_with("invalid;"));
    BOOST_TEST(failure([&] { store.archive(Call(), {"contoso", -1}); }).starts_with("invalid;"));
    using namespace std::string_view_literals;
    for (const std::string_view name : {""sv, "/"sv, "."sv, ".."sv, "../../../secret"sv, "/etc/passwd"sv, "a//b"sv,
                                        "a/"sv, "a/../build.json"sv, "build.json\0x"sv}) {
        BOOST_TEST(failure([&] { text_of(store, build, name); }).starts_with("invalid;"), name);
        BOOST_TEST(failure([&] { store.write_control(Call(), build, name, ""); }).starts_with("invalid;"), name);
    }
    BOOST_TEST(failure([&] { store.write_control(Call(), build, ".stop", ""); }).starts_with("invalid;"));
    BOOST_TEST(failure([&] { text_of(store, build, std::string(256, 'a')); }).starts_with("invalid; contoso/1: "));
    std::string deep = "a";
    for (int i = 0; i < 4000; ++i) deep += "/a";
    BOOST_TEST(failure([&] { text_of(store, build, deep); }).starts_with("invalid; contoso/1: "));
    BOOST_TEST(failure([&] { text_of(store, build, std::string(255, 'a')); }).starts_with("not_found;"));
}

BOTH_WAYS(files_are_read_in_parts)
{
    Store store(way);
    const BuildName build = store.create_one();
    std::string content;
    for (int i = 0; i < 20000; ++i) content += std::to_string(i) + "\n";
    spill(store.logs / "1/out/deep/asset", content);
    BOOST_TEST(text_of(store, build, "out/deep/asset") == content);
    BOOST_TEST(text_of(store, build, "out/deep/asset", 100, 7) == content.substr(100, 7));
    BOOST_TEST(text_of(store, build, "out/deep/asset", content.size() - 3, 50) == content.substr(content.size() - 3));
    BOOST_TEST(text_of(store, build, "out/deep/asset", content.size()) == "");
    BOOST_TEST(text_of(store, build, "out/deep/asset", UINT64_MAX, UINT64_MAX) == "");
    size_t pieces = 0;
    store.read(Call(), build, "out/deep/asset", 0, 0, [&](std::string_view) { return ++pieces < 1; });
    BOOST_TEST(pieces == 1u);
    const Call late = Call::until(Clock::now());
    BOOST_TEST(failure([&] { store.read(late, build, "out/deep/asset", 0, 0, [](auto) { return true; }); })
                   .starts_with("timeout;"));
}

BOTH_WAYS(pipes_links_and_folders_are_no_files)
{
    Store store(way);
    const BuildName build = store.create_one();
    const fs::path folder = store.logs / "1";
    spill(store.path / "secret", "x");
    BOOST_REQUIRE(::mkfifo((folder / "pipe").c_str(), 0666) == 0);
    fs::create_symlink(store.path / "secret", folder / "link");
    fs::create_directory_symlink(store.path, folder / "dir");
    fs::create_directory(folder / "sub");
    BOOST_TEST(failure([&] { text_of(store, build, "pipe"); }) ==
               "corrupt; " + (folder / "pipe").string() + ": is not a regular file");
    BOOST_TEST(failure([&] { text_of(store, build, "sub"); }).starts_with("corrupt;"));
    const std::string link = failure([&] { text_of(store, build, "link"); });
    BOOST_TEST(link ==
               "corrupt; " + (folder / "link").string() + ": leads through a symbolic link, which is not followed");
    BOOST_TEST(failure([&] { text_of(store, build, "dir/secret"); }).find("symbolic link") != std::string::npos);
    BOOST_REQUIRE(::mkfifo((folder / "tags").c_str(), 0666) == 0);
    BOOST_TEST(failure([&] { store.tags(Call(), build); }).starts_with("corrupt;"));
    const std::string tag = "a";
    BOOST_TEST(failure([&] { store.edit_tags(Call(), build, {&tag, 1}, {}); }).starts_with("corrupt;"));
}

BOTH_WAYS(only_folders_named_as_run_ids_are_builds)
{
    Store store(way);
    for (const char *name : {"3", "007", "0", "-1", "+2", "1e3", "9223372036854775808", "19 ", "latest", ".new-x"})
        fs::create_directories(store.logs / name);
    spill(store.logs / "4", "a file");
    fs::create_directory_symlink(store.logs / "3", store.logs / "5");
    BOOST_REQUIRE(::mkfifo((store.logs / "6").c_str(), 0666) == 0);
    fs::create_directories(store.path / ".hidden/logs");
    fs::create_directories(store.path / "no-logs");
    spill(store.path / "file-logs/logs", "");
    fs::create_directories(store.path / "elsewhere/logs");
    fs::create_directory_symlink(store.path / "elsewhere", store.path / "linked");
    BOOST_TEST(store.all() == "3");
    std::vector<std::string> teams = store.teams(Call());
    std::sort(teams.begin(), teams.end());
    BOOST_TEST(teams == (std::vector<std::string>{"contoso", "elsewhere"}));
    for (const int64_t id : {4, 5, 6})
        BOOST_TEST(failure([&] { store.find(Call(), {"contoso", id}); }).starts_with("not_found;"));
    BOOST_TEST(failure([&] { listed(store, {"file-logs", Scope::all, 0, 0}); }) ==
               "not_found; file-logs: no such team");
    BOOST_TEST(failure([&] { listed(store, {"linked", Scope::all, 0, 0}); }).starts_with("corrupt;"));
    // A name in use is no free id, whatever is behind it.
    BOOST_TEST(store.create_one().runid == 7);
}

BOTH_WAYS(an_existing_tree_is_adopted)
{
    Store store(way);
    fs::create_directories(store.logs / "7");
    spill(store.logs / "41/asset.bin", "data");
    spill(store.logs / "archive/55/asset.bin", "old");
    BOOST_TEST(store.all() == "a55 41 7");
    const BuildName empty{"contoso", 7}, old{"contoso", 55};
    BOOST_TEST(text_of(store, old, "asset.bin") == "old");
    BOOST_TEST(store.tags(Call(), empty).empty());
    store.write_control(Call(), empty, "stop", "now");
    BOOST_TEST(slurp(store.logs / "7/.control/stop") == "now");
    BOOST_TEST(store.archive(Call(), empty).archived);
    BOOST_TEST(store.create_one().runid == 56);
    BOOST_TEST(store.create_one(2).runid == 57);
}

BOTH_WAYS(the_hint_is_never_trusted_below_what_exists)
{
    Store store(way);
    for (int i = 1; i <= 3; ++i) store.create_one(i);
    store.archive(Call(), {"contoso", 3});
    int number = 10;
    int64_t expected = 4;
    for (const char *hint : {"1\n", "", "rubbish", "-5", "2", "9223372036854775807", "99999999999999999999"}) {
        spill(store.logs / ".next", hint);
        BOOST_TEST(store.create_one(number++).runid == expected++, hint);
    }
    fs::remove(store.logs / ".next");
    fs::create_symlink("/etc/passwd", store.logs / ".next");
    BOOST_TEST(store.create_one(number++).runid == expected++);
    // A removed build's id stays used as long as the hint is there.
    fs::remove_all(store.logs / std::to_string(expected - 1));
    BOOST_TEST(store.create_one(number++).runid == expected++);
    fs::create_directories(store.logs / "archive/9223372036854775807");
    fs::remove(store.logs / ".next");
    BOOST_TEST(failure([&] { store.create_one(number); }) == "no_space; contoso: no run id is left");
}

BOTH_WAYS(a_build_in_both_places_is_told_once)
{
    Store store(way);
    const BuildName build = store.create_one();
    spill(store.logs / "archive/1/other", "");
    BOOST_TEST(store.all() == "1");
    BOOST_TEST(listed(store, {"contoso", Scope::archived, 0, 0}) == "");
    BOOST_TEST(!store.find(Call(), build).archived);
    const std::string sentence = "corrupt; contoso/1: lies in the main list and in the archive";
    BOOST_TEST(failure([&] { store.archive(Call(), build); }) == sentence);
    BOOST_TEST(failure([&] { store.restore(Call(), build); }) == sentence);
}

BOTH_WAYS(nothing_is_moved_onto_something_else)
{
    Store store(way);
    const BuildName build = store.create_one();
    spill(store.logs / "archive/1", "a file");
    BOOST_TEST(failure([&] { store.archive(Call(), build); }).starts_with("exists; contoso/1: something else lies at"));
    BOOST_TEST(slurp(store.logs / "archive/1") == "a file");
    BOOST_TEST(store.all() == "1");
}

BOTH_WAYS(a_linked_archive_is_refused)
{
    Store store(way);
    const BuildName build = store.create_one();
    fs::create_directories(store.path / "cold");
    fs::create_directory_symlink(store.path / "cold", store.logs / "archive");
    BOOST_TEST(failure([&] { store.archive(Call(), build); }).starts_with("corrupt;"));
    BOOST_TEST(failure([&] { store.create_one(2); }).starts_with("corrupt;"));
    BOOST_TEST(listed(store, {"contoso", Scope::live, 0, 0}) == "1");
    BOOST_TEST(fs::is_empty(store.path / "cold"));
}

BOTH_WAYS(tags_are_edited)
{
    Store store(way);
    const BuildName build = store.create_one();
    using Tags = std::vector<std::string>;
    const auto edit = [&](const Tags &add, const Tags &remove) {
        store.edit_tags(Call(), build, add, remove);
        return slurp(store.logs / "1/tags");
    };
    BOOST_TEST(store.tags(Call(), build).empty());
    BOOST_TEST(edit({"nightly", "gold", "nightly"}, {}) == "nightly,gold\n");
    BOOST_TEST(edit({"gold", "v 2"}, {"nightly", "none"}) == "gold,v 2\n");
    BOOST_TEST(store.tags(Call(), build) == (Tags{"gold", "v 2"}));
    spill(store.logs / "1/tags", "\xef\xbb\xbf gold , ,,\tx\r\nlater,gold, caf\xc3\xa9,bad\xff\r\n");
    BOOST_TEST(store.tags(Call(), build) == (Tags{"gold", "x", "later", "caf\xc3\xa9"}));
    BOOST_TEST(edit({}, {"x"}) == "gold,later,caf\xc3\xa9,bad\xff\n");
    BOOST_TEST(edit({}, {"gold", "later", "caf\xc3\xa9"}) == "bad\xff\n");
    BOOST_TEST(failure([&] { edit({"a,b"}, {}); }).starts_with("invalid;"));
    BOOST_TEST(failure([&] { edit({}, {"a\nb"}); }).starts_with("invalid;"));
    BOOST_TEST(failure([&] { edit({""}, {}); }).starts_with("invalid;"));
    store.archive(Call(), build);
    store.edit_tags(Call(), build, Tags{"kept"}, {});
    BOOST_TEST(slurp(store.logs / "archive/1/tags") == "bad\xff,kept\n");
    spill(store.logs / "archive/1/tags", std::string(2'000'000, 'x'));
    BOOST_TEST(failure([&] { store.edit_tags(Call(), build, Tags{"a"}, {}); }).find("1 MiB") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_tag_edit_waits_no_longer_than_it_may)
{
    Store store;
    const BuildName build = store.create_one();
    const std::unique_ptr<Fs> other_one = open_fs(store.path.string());
    const auto held = other_one->lock(Call(), folder::Path() / "contoso" / "logs" / "1" / "tags");
    const std::string tag = "a";
    const auto begin = Clock::now();
    BOOST_TEST(failure([&] { store.edit_tags(Call::within(std::chrono::milliseconds(60)), build, {&tag, 1}, {}); })
                   .starts_with("timeout;"));
    Canceller canceller;
    std::thread other([&] { canceller.cancel(); });
    BOOST_TEST(failure([&] { store.edit_tags(Call().cancelled_by(canceller), build, {&tag, 1}, {}); })
                   .starts_with("cancelled;"));
    other.join();
    BOOST_TEST((Clock::now() - begin < std::chrono::seconds(2)));
    BOOST_TEST(store.tags(Call(), build).empty());
}

BOTH_WAYS(no_tag_edit_is_lost)
{
    Store store(way);
    const BuildName build = store.create_one();
    const int failed = in_processes(4, [&](int process) {
        FolderStore own(open_fs(store.path.string(), way));
        for (int i = 0; i < 20; ++i) {
            const std::string tag = "p" + std::to_string(process) + "-" + std::to_string(i);
            const std::string gone = "p" + std::to_string(process) + "-" + std::to_string(i - 1);
            own.edit_tags(Call(), build, {&tag, 1}, i % 2 ? std::span(&gone, 1) : std::span<const std::string>());
            // Moving the build meanwhile loses none either.
            if (process == 0 && i % 5 == 0) own.archive(Call(), build);
            if (process == 0 && i % 5 == 2) own.restore(Call(), build);
        }
    });
    BOOST_TEST(failed == 0);
    BOOST_TEST(store.tags(Call(), build).size() == 40u);
}

BOTH_WAYS(no_run_id_is_given_twice)
{
    Store store(way);
    constexpr int processes = 8, each = 50;
    const int failed = in_processes(processes, [&](int process) {
        FolderStore own(open_fs(store.path.string(), way));
        std::string given;
        for (int i = 0; i < each; ++i) {
            const BuildName build{"contoso", own.create(Call(), new_build("contoso", i)).runid};
            given += std::to_string(build.runid) + "\n";
            if (i % 3 == 0) own.archive(Call(), build);
        }
        spill(store.path / "given" / std::to_string(process), given);
    });
    BOOST_TEST(failed == 0);
    std::set<int64_t> ids;
    for (int process = 0; process < processes; ++process) {
        std::istringstream given(slurp(store.path / "given" / std::to_string(process)));
        for (int64_t id = 0; given >> id;) BOOST_TEST(ids.insert(id).second, id);
    }
    BOOST_TEST(ids.size() == size_t{processes * each});
    size_t seen = 0;
    store.list(Call(), {"contoso", Scope::all, 0, 0}, [&](const Entry &entry) {
        const std::string head = "{\"runid\":" + std::to_string(entry.runid) + ",";
        BOOST_TEST(slurp(entry.path + "/build.json").starts_with(head));
        ++seen;
        return true;
    });
    BOOST_TEST(seen == ids.size());
    for (const auto &item : fs::directory_iterator(store.logs))
        BOOST_TEST(!item.path().filename().string().starts_with(".new-"));
}

BOOST_AUTO_TEST_CASE(without_locks_run_ids_are_still_unique)
{
    TempFolder root;
    const int failed = in_processes(4, [&](int process) {
        auto fs = std::make_unique<Faulty>(root.path.string());
        fs->no_locks = true;
        FolderStore own(std::move(fs));
        for (int i = 0; i < 25; ++i) {
            const Entry entry = own.create(Call(), new_build("contoso", process * 100 + i));
            if (i % 2 == 0) own.archive(Call(), {"contoso", entry.runid});
        }
    });
    BOOST_TEST(failed == 0);
    FolderStore store(open_fs(root.path.string()));
    size_t seen = 0;
    store.list(Call(), {"contoso", Scope::all, 0, 0}, [&](const Entry &) { return ++seen > 0; });
    BOOST_TEST(seen == 100u);
}

BOOST_AUTO_TEST_CASE(an_id_archived_between_look_and_claim_is_given_back)
{
    FaultyStore f;
    f.faults->no_locks = true;
    fs::create_directories(f.logs);
    // Another one creates 1 and archives it in the moment before our rename.
    f.faults->on_rename = [&](const std::string &to) {
        if (to == "contoso/logs/1") spill(f.logs / "archive/1/build.json", "other");
    };
    BOOST_TEST(f.store.create(Call(), new_build("contoso", 1)).runid == 2);
    BOOST_TEST(listed(f.store, {"contoso", Scope::all, 0, 0}) == "2 a1");
    BOOST_TEST(slurp(f.logs / "2/build.json").starts_with("{\"runid\":2,"));
}

BOOST_AUTO_TEST_CASE(a_lost_reply_is_settled_by_looking)
{
    FaultyStore f;
    f.faults->lost_reply = true;
    BOOST_TEST(f.store.create(Call(), new_build("contoso", 1)).runid == 1);
    BOOST_TEST(f.store.archive(Call(), {"contoso", 1}).archived);
    BOOST_TEST(!f.store.restore(Call(), {"contoso", 1}).archived);
    BOOST_TEST(listed(f.store, {"contoso", Scope::all, 0, 0}) == "1");
}

namespace {

// A file server that is asked for the rename to a run id, is away then, and does it when it is back.
struct LateTake : FaultyStore {
    LateTake()
    {
        const auto look = [this](const std::string &) { if (is_away) throw Error(Code::timeout, "server: away"); };
        faults->on_look = faults->on_read_dir = faults->on_read = look;
        faults->on_change = [this](const char *what, const std::string &to) {
            is_away = is_away || (is_next && to == "contoso/logs/1" && std::string_view(what) == "rename");
            if (is_away) throw Error(Code::timeout, "server: away");
        };
        BOOST_TEST(failure([&] { store.create(Call(), new_build("contoso", 1)); }) == "timeout; server: away");
        is_next = is_away = false;
    }
    fs::path draft() const { return logs / (".new-" + new_build("contoso", 1).uuid + "." + folder::own_mark()); }
    void take_late() { fs::rename(draft(), logs / "1"); }
    // By another host.
    void use_and_remove()
    {
        FolderStore other(open_fs(path.string()));
        BOOST_TEST(other.create(Call(), new_build("contoso", 7)).runid == 1);
        other.archive(Call(), {"contoso", 1});
        other.remove(Call(), {"contoso", 1});
    }
    std::string all() { return listed(store, {"contoso", Scope::all, 0, 0}); }
    std::string drafts() const
    {
        std::string text;
        for (const auto &item : fs::directory_iterator(logs))
            if (item.path().filename().string().starts_with(".new-")) text += item.path().filename().string() + " ";
        return text;
    }
    bool is_away = false, is_next = true;
};

}  // namespace

BOOST_AUTO_TEST_CASE(a_take_that_comes_late_is_given_back_where_the_run_id_was_used)
{
    for (const bool is_moved_on : {false, true}) {
        LateTake f;
        f.use_and_remove();
        f.take_late();
        if (is_moved_on) FolderStore(open_fs(f.path.string())).archive(Call(), {"contoso", 1});
        BOOST_TEST(f.all() == (is_moved_on ? "a1" : "1"));
        BOOST_TEST(f.store.create(Call(), new_build("contoso", 2)).runid == 2);
        BOOST_TEST(f.all() == "2");
        BOOST_TEST(f.drafts() == "");
    }
}

BOOST_AUTO_TEST_CASE(a_take_that_comes_late_is_that_build_where_the_run_id_was_free)
{
    for (const int next : {1, 2}) {
        LateTake f;
        f.take_late();
        BOOST_TEST(f.store.create(Call(), new_build("contoso", next)).runid == next);
        BOOST_TEST(f.all() == (next == 1 ? "1" : "2 1"));
        BOOST_TEST(f.drafts() == "");
    }
}

BOOST_AUTO_TEST_CASE(a_take_that_has_not_come_does_not_come_any_more)
{
    LateTake f;
    BOOST_TEST(f.drafts() != "");
    BOOST_TEST(f.store.create(Call(), new_build("contoso", 2)).runid == 1);
    BOOST_TEST(f.drafts() == "");
    BOOST_TEST(!fs::exists(f.draft()));
}

BOOST_AUTO_TEST_CASE(what_cannot_be_cleared_in_one_team_does_not_keep_others_from_making_builds)
{
    LateTake f;
    f.faults->on_change = [&](const char *, const std::string &to) {
        if (to.starts_with("contoso/")) throw Error(Code::denied, "contoso: not allowed");
    };
    BOOST_TEST(f.store.create(Call(), new_build("fabrikam", 3)).runid == 1);
    BOOST_TEST(failure([&] { f.store.create(Call(), new_build("contoso", 1)); }) == "denied; contoso: not allowed");
    f.faults->on_change = {};
    BOOST_TEST(f.store.create(Call(), new_build("contoso", 2)).runid == 1);
    BOOST_TEST(f.drafts() == "");
}

BOOST_AUTO_TEST_CASE(an_id_that_was_removed_is_given_back_from_the_archive_too)
{
    FaultyStore f;
    fs::create_directories(f.logs);
    // After our rename: the mark of a removal that was before it, and somebody who archives what he finds.
    f.faults->on_look = [&](const std::string &path) {
        if (path != "contoso/logs/archive/1" || !fs::exists(f.logs / "1")) return;
        spill(f.logs / ".removed/1", "");
        fs::create_directories(f.logs / "archive");
        fs::rename(f.logs / "1", f.logs / "archive/1");
    };
    BOOST_TEST(f.store.create(Call(), new_build("contoso", 1)).runid == 2);
    BOOST_TEST(listed(f.store, {"contoso", Scope::all, 0, 0}) == "2");
}

BOOST_AUTO_TEST_CASE(a_draft_that_a_server_made_and_forgot_is_made_anew)
{
    FaultyStore f;
    // As where the first request was done, its answer lost, and the second one is told that it is there.
    const NewBuild build = new_build("contoso", 1);
    spill(f.logs / (".new-" + build.uuid + "." + folder::own_mark()) / "half", "of an earlier call");
    BOOST_TEST(f.store.create(Call(), build).runid == 1);
    BOOST_TEST(!fs::exists(f.logs / "1/half"));
    BOOST_TEST(f.store.create(Call(), new_build("contoso", 2)).runid == 2);
    for (const auto &item : fs::directory_iterator(f.logs))
        BOOST_TEST(!item.path().filename().string().starts_with(".new-"));
}

BOOST_AUTO_TEST_CASE(a_failed_creation_leaves_nothing)
{
    FaultyStore f;
    const auto fail = [](const std::string &) { throw Error(Code::no_space, "disk: full", ENOSPC); };
    f.store.create(Call(), new_build("contoso", 1));
    f.faults->on_replace = fail;
    BOOST_TEST(failure([&] { f.store.create(Call(), new_build("contoso", 2)); }) == "no_space; disk: full");
    f.faults->on_replace = {};
    f.faults->on_sync = fail;
    BOOST_TEST(failure([&] { f.store.create(Call(), new_build("contoso", 3)); }) == "no_space; disk: full");
    f.faults->on_sync = {};
    BOOST_TEST(listed(f.store, {"contoso", Scope::all, 0, 0}) == "1");
    for (const auto &item : fs::directory_iterator(f.logs))
        BOOST_TEST(!item.path().filename().string().starts_with(".new-"));
}

BOOST_AUTO_TEST_CASE(a_build_moved_between_two_looks_is_found)
{
    FaultyStore f;
    const BuildName build{"contoso", f.store.create(Call(), new_build("contoso", 1)).runid};
    f.store.archive(Call(), build);
    int looks = 0;
    f.faults->on_look = [&](const std::string &path) {
        // Restored after the look at the main list, before the one at the archive.
        if (path == "contoso/logs/archive/1" && ++looks == 1) fs::rename(f.logs / "archive/1", f.logs / "1");
    };
    BOOST_TEST(!f.store.find(Call(), build).archived);
    BOOST_TEST(text_of(f.store, build, "events.jsonl") == "{}\n");
}

BOOST_AUTO_TEST_CASE(a_build_that_is_always_elsewhere_is_not_one_without_tags)
{
    FaultyStore f;
    const BuildName build{"contoso", f.store.create(Call(), new_build("contoso", 1)).runid};
    const std::string first = "first", second = "second";
    f.store.edit_tags(Call(), build, {&first, 1}, {});
    fs::create_directories(f.logs / "archive");
    int moves = 0;
    // Whoever reads or edits comes too late.
    const auto flee = [&](const std::string &path) {
        if (moves <= 0 || (!path.ends_with("/1/tags") && !path.ends_with("/1/none"))) return;
        --moves;
        const fs::path live = f.logs / "1", archived = f.logs / "archive/1";
        if (fs::exists(live)) fs::rename(live, archived);
        else fs::rename(archived, live);
    };
    f.faults->on_read = flee;
    f.faults->on_change = [&](const char *what, const std::string &path) {
        if (what == std::string("edit_file")) flee(path);
    };
    moves = 20;
    BOOST_TEST(f.store.tags(Call(), build) == std::vector{first}, boost::test_tools::per_element());
    moves = 20;
    f.store.edit_tags(Call(), build, {&second, 1}, {});
    BOOST_TEST(moves == 0);
    BOOST_TEST((f.store.tags(Call(), build) == std::vector{first, second}));
    moves = 20;
    BOOST_TEST(failure([&] { text_of(f.store, build, "none"); }) == "not_found; contoso/1: no such file 'none'");
    const std::string always = "unavailable; contoso/1: is being moved by others; try again";
    moves = INT_MAX;
    BOOST_TEST(failure([&] { f.store.tags(Call(), build); }) == always);
    BOOST_TEST(failure([&] { f.store.edit_tags(Call(), build, {&first, 1}, {}); }) == always);
}

BOOST_AUTO_TEST_CASE(a_build_restored_between_the_two_lists_is_listed)
{
    FaultyStore f;
    for (int i = 1; i <= 2; ++i) f.store.create(Call(), new_build("contoso", i));
    f.store.archive(Call(), {"contoso", 1});
    fs::last_write_time(f.logs, fs::file_time_type::clock::now() - std::chrono::hours(1));
    f.faults->on_read_dir = [&](const std::string &path) {
        if (path == "contoso/logs/archive" && fs::exists(f.logs / "archive/1"))
            fs::rename(f.logs / "archive/1", f.logs / "1");
    };
    BOOST_TEST(listed(f.store, {"contoso", Scope::all, 0, 0}) == "2 1");
}

BOOST_AUTO_TEST_CASE(a_build_restored_within_one_tick_is_listed)
{
    FaultyStore f;
    f.store.create(Call(), new_build("contoso", 1));
    f.store.archive(Call(), {"contoso", 1});
    f.faults->on_read_dir = [&](const std::string &path) {
        if (path == "contoso/logs/archive" && fs::exists(f.logs / "archive/1"))
            fs::rename(f.logs / "archive/1", f.logs / "1");
    };
    using namespace std::chrono;
    // Later than any list can ask.
    f.faults->frozen_ns = duration_cast<nanoseconds>((system_clock::now() + 1h).time_since_epoch()).count();
    BOOST_TEST(listed(f.store, {"contoso", Scope::all, 0, 0}) == "1");
}

BOOST_AUTO_TEST_CASE(no_build_is_missed_by_a_list_while_it_moves)
{
    Store store;
    for (int i = 1; i <= 20; ++i) store.create_one(i);
    std::atomic<bool> enough{false};
    std::thread mover([&] {
        for (int64_t id = 1; !enough; id = id % 20 + 1) {
            store.archive(Call(), {"contoso", id});
            store.restore(Call(), {"contoso", id});
        }
    });
    for (int i = 0; i < 300; i += stride()) {
        size_t seen = 0;
        store.list(Call(), {"contoso", Scope::all, 0, 0}, [&](const Entry &) { return ++seen > 0; });
        BOOST_TEST(seen == 20u);
        BOOST_TEST(text_of(store, {"contoso", i % 20 + 1}, "events.jsonl") == "{}\n");
    }
    enough = true;
    mover.join();
}

BOTH_WAYS(a_read_only_root_can_be_read)
{
    Store store(way);
    const BuildName build = store.create_one();
    // In a process without privileges: the modes mean nothing to root.
    const int failed = in_processes(1, [&](int) {
        fs::permissions(store.path, fs::perms(0555));
        for (const auto &item : fs::recursive_directory_iterator(store.path))
            fs::permissions(item, fs::perms(item.is_directory() ? 0555 : 0444));
        if (::getuid() == 0 && ::setuid(65534) != 0) throw std::runtime_error("setuid");
        FolderStore own(open_fs(store.path.string(), way));
        const auto expect = [](bool good, const char *what) {
            if (!good) throw std::runtime_error(what);
        };
        expect(listed(own, {"contoso", Scope::all, 0, 0}) == "1", "list");
        expect(text_of(own, build, "events.jsonl") == "{}\n", "read");
        const std::string tag = "a";
        const auto denied = [&](const std::string &what) {
            if (!what.starts_with("denied;")) throw std::runtime_error(what);
        };
        denied(failure([&] { own.create(Call(), new_build("contoso", 2)); }));
        denied(failure([&] { own.create(Call(), new_build("fabrikam", 2)); }));
        denied(failure([&] { own.archive(Call(), build); }));
        denied(failure([&] { own.edit_tags(Call(), build, {&tag, 1}, {}); }));
        denied(failure([&] { own.write_control(Call(), build, "stop", ""); }));
    });
    BOOST_TEST(failed == 0);
    for (const auto &item : fs::recursive_directory_iterator(store.path))
        if (item.is_directory()) fs::permissions(item, fs::perms(0755));
    fs::permissions(store.path, fs::perms(0755));
}

BOTH_WAYS(a_read_only_disk_can_be_read)
{
    if (!can_mount("a_read_only_disk_can_be_read")) return;
    TempFolder root;
    const int failed = in_processes(1, [&](int) {
        own_mounts();
        const auto open_store = [&] { return FolderStore(open_fs(root.path.string(), way)); };
        FolderStore before = open_store();
        for (int i = 1; i <= 2; ++i) before.create(Call(), new_build("contoso", i));
        const BuildName build{"contoso", 1}, old{"contoso", 2};
        before.archive(Call(), old);
        make_read_only(root.path);
        FolderStore own = open_store();
        expect(listed(own, {"contoso", Scope::all, 0, 0}) == "a2 1", "list");
        expect(text_of(own, old, "events.jsonl") == "{}\n", "read");
        expect(own.tags(Call(), build).empty(), "tags");
        expect(own.archive(Call(), old).archived, "where it is already");
        const std::string tag = "a";
        const auto denied = [&](const std::string &what) { expect(what.starts_with("denied;"), what); };
        denied(failure([&] { own.create(Call(), new_build("contoso", 3)); }));
        denied(failure([&] { own.create(Call(), new_build("fabrikam", 3)); }));
        denied(failure([&] { own.archive(Call(), build); }));
        denied(failure([&] { own.restore(Call(), old); }));
        denied(failure([&] { own.edit_tags(Call(), build, {&tag, 1}, {}); }));
        denied(failure([&] { own.write_control(Call(), build, "stop", ""); }));
    });
    BOOST_TEST(failed == 0);
}

BOTH_WAYS(a_full_disk_loses_nothing)
{
    if (!can_mount("a_full_disk_loses_nothing")) return;
    TempFolder root;
    const int failed = in_processes(1, [&](int) {
        own_mounts();
        mount_small_disk(root.path, "size=64k");
        const fs::path logs = root.path / "contoso/logs";
        FolderStore own(open_fs(root.path.string(), way));
        const BuildName first{"contoso", own.create(Call(), new_build("contoso", 1)).runid};
        const std::string a = "a", b = "b";
        own.edit_tags(Call(), first, {&a, 1}, {});
        own.write_control(Call(), first, "stop", "before");
        int64_t last = 1;
        std::string why;
        for (int i = 2; why.empty(); ++i) {
            why = failure([&] { last = own.create(Call(), new_build("contoso", i)).runid; });
            if (why == "nothing thrown") why.clear();
            expect(i < 100, "never full");
        }
        const auto no_space = [&](const std::string &what) { expect(what.starts_with("no_space;"), what); };
        no_space(why);
        // Not a page is left, so that nothing small slips through.
        const std::string filler(4096, 'x');
        for (int i = 0; std::ofstream(root.path / ("filler" + std::to_string(i))) << filler << std::flush; ++i) {
        }
        no_space(failure([&] { own.create(Call(), new_build("contoso", 200)); }));
        no_space(failure([&] { own.create(Call(), new_build("fabrikam", 200)); }));
        no_space(failure([&] { own.edit_tags(Call(), first, {&b, 1}, {}); }));
        no_space(failure([&] { own.write_control(Call(), first, "stop", "after"); }));
        expect(own.tags(Call(), first) == std::vector<std::string>{"a"}, "tags");
        expect(text_of(own, first, ".control/stop") == "before", "control");
        for (const auto &item : fs::recursive_directory_iterator(root.path)) {
            const std::string name = item.path().filename();
            expect(!name.starts_with(".new-") && !name.starts_with(".tmp-"), "left over: " + item.path().string());
        }
        for (int64_t id = 1; id <= last; ++id) {
            const std::string identity = slurp(logs / std::to_string(id) / "build.json");
            expect(identity.starts_with("{\"runid\":" + std::to_string(id) + ","), "not whole: " + identity);
        }
        expect(own.archive(Call(), first).archived, "archive");
        for (const auto &item : fs::directory_iterator(root.path))
            if (item.path().filename().string().starts_with("filler")) fs::remove(item);
        fs::remove(logs / "2/events.jsonl");
        fs::remove(logs / "3/events.jsonl");
        fs::remove(logs / "4/events.jsonl");
        expect(own.create(Call(), new_build("contoso", 300)).runid == last + 1, "the next one");
    });
    BOOST_TEST(failed == 0);
}

BOTH_WAYS(private_folders_do_not_hide_the_teams)
{
    Store store(way);
    store.create_one();
    fs::create_directories(store.path / "private");
    fs::create_directory_symlink(store.logs, store.path / "private/logs");
    fs::create_directories(store.path / "closed/logs");
    fs::permissions(store.path / "closed", fs::perms(0));
    fs::permissions(store.path, fs::perms(0755));
    const int failed = in_processes(1, [&](int) {
        if (::getuid() == 0) expect(::setuid(65534) == 0, "setuid");
        FolderStore own(open_fs(store.path.string(), way));
        expect(own.teams(Call()) == std::vector<std::string>{"contoso"}, "teams");
    });
    BOOST_TEST(failed == 0);
    fs::permissions(store.path / "closed", fs::perms(0755));
}

BOTH_WAYS(a_root_is_what_the_kernel_makes_of_it)
{
    if (over_nfs || is_mounted()) return;   // their roots are absolute
    TempFolder root;
    fs::create_directories(root.path / "disk/builds");
    fs::create_directories(root.path / "disk/sub");
    fs::create_directories(root.path / "builds");
    fs::create_directory_symlink(root.path / "disk/sub", root.path / "link");
    fs::create_directory_symlink(root.path / "disk", root.path / "data");
    const auto path_of = [&](const char *name) {
        FolderStore store(open_fs((root.path / name).string(), way));
        return store.create(Call(), {"contoso", uuid(1), "{}", {}}).path;
    };
    const std::string real = fs::canonical(root.path).string();
    BOOST_TEST(path_of("link/../builds") == real + "/disk/builds/contoso/logs/1");
    // A link that is the root stays in the path, as users know it.
    BOOST_TEST(path_of("./data//") == (root.path / "data/contoso/logs/1").string());
    BOOST_TEST(fs::is_directory(root.path / "disk/contoso/logs/1"));
}

BOTH_WAYS(a_root_that_goes_away_is_named)
{
    Store store(way);
    store.create_one();
    fs::remove_all(store.path);
    BOOST_TEST(failure([&] { store.all(); }) == "not_found; contoso: no such team");
    BOOST_TEST(failure([&] { store.find(Call(), {"contoso", 1}); }) == "not_found; contoso: no such team");
    BOOST_TEST(failure([&] { store.create_one(2); }).starts_with("not_found;"));
    BOOST_TEST(!fs::exists(store.path));
}

BOTH_WAYS(every_call_has_an_end)
{
    Store store(way);
    const BuildName build = store.create_one();
    Canceller canceller;
    canceller.cancel();
    const std::pair<Call, std::string> limits[] = {{Call::until(Clock::now()), "timeout;"},
                                                   {Call().cancelled_by(canceller), "cancelled;"}};
    for (const auto &[call, word] : limits) {
        const std::string tag = "a";
        const auto ended = [&, &limit = word](const auto &body) {
            const std::string what = failure(body);
            BOOST_TEST(what.starts_with(limit), what);
        };
        const Call &with = call;
        ended([&] { store.teams(with); });
        ended([&] { store.list(with, {"contoso", Scope::all, 0, 0}, [](const Entry &) { return true; }); });
        ended([&] { store.find(with, build); });
        ended([&] { store.create(with, new_build("contoso", 2)); });
        ended([&] { store.create(with, new_build("fabrikam", 2)); });
        ended([&] { store.archive(with, build); });
        ended([&] { store.restore(with, build); });
        ended([&] { store.tags(with, build); });
        ended([&] { store.edit_tags(with, build, {&tag, 1}, {}); });
        ended([&] { store.read(with, build, "build.json", 0, 0, [](std::string_view) { return true; }); });
        ended([&] { store.write_control(with, build, "stop", ""); });
    }
    BOOST_TEST(store.all() == "1");
    BOOST_TEST(store.tags(Call(), build).empty());
    BOOST_TEST(!fs::exists(store.path / "fabrikam"));
}

BOTH_WAYS(a_hint_that_others_spoil_gives_no_id_twice)
{
    Store store(way);
    store.create_one(1);
    const int failed = in_processes(5, [&](int process) {
        if (process == 4) {
            for (int i = 0; i < 300; ++i) {
                const char *const hints[] = {"1\n", "", "rubbish", "9223372036854775807\n", "3\n"};
                if (i % 6 == 5) fs::remove(store.logs / ".next");
                else std::ofstream(store.logs / ".next") << hints[i % 6];
                ::usleep(200);
            }
            return;
        }
        FolderStore own(open_fs(store.path.string(), way));
        for (int i = 0; i < 25; ++i) {
            const Entry made = own.create(Call(), new_build("contoso", 100 + i));
            if (i % 2 == 0) own.archive(Call(), {"contoso", made.runid});
        }
    });
    BOOST_TEST(failed == 0);
    std::set<std::string> folders;
    for (const fs::path &place : {store.logs, store.logs / "archive"})
        for (const auto &item : fs::directory_iterator(place))
            if (parse_runid(item.path().filename().string()))
                BOOST_TEST(folders.insert(item.path().filename()).second, item.path());
    BOOST_TEST(folders.size() == 101u);
}

BOTH_WAYS(control_files_are_replaced_whole)
{
    Store store(way);
    const BuildName build = store.create_one();
    store.write_control(Call(), build, "stop", "first");
    store.write_control(Call(), build, "stop", "2");
    BOOST_TEST(text_of(store, build, ".control/stop") == "2");
    BOOST_TEST(std::distance(fs::directory_iterator(store.logs / "1/.control"), {}) == 1);
    fs::remove_all(store.logs / "1/.control");
    fs::create_directory_symlink(store.path, store.logs / "1/.control");
    BOOST_TEST(failure([&] { store.write_control(Call(), build, "stop", "x"); }).starts_with("corrupt;"));
    BOOST_TEST(!fs::exists(store.path / "stop"));
}

BOOST_AUTO_TEST_CASE(descriptors_are_not_leaked)
{
    const auto open_ones = [] { return std::distance(fs::directory_iterator("/proc/self/fd"), {}); };
    Store store;
    const BuildName build = store.create_one();
    const auto before = open_ones();
    for (int i = 0; i < 3; ++i) {
        const std::string tag = std::to_string(i);
        store.edit_tags(Call(), build, {&tag, 1}, {});
        store.archive(Call(), build);
        store.restore(Call(), build);
        store.all();
        failure([&] { text_of(store, build, "none"); });
    }
    // The thread of a call by a mount may have a moment to go.
    for (int i = 0; i < 1000 && is_mounted() && open_ones() != before; ++i) ::usleep(1000);
    BOOST_TEST(open_ones() == before);
}

#ifndef LITBUILD_TEST_NFS
namespace {

/// A file server's client that remembers of a name that it was not there.
class Forgetful final : public folder::PosixFs {
public:
    Forgetful(const std::string &root, int often) : PosixFs(root), left_(often) {}
    uint64_t capabilities() const override { return LB_STORE_SHARED; }
    folder::Info look(const Call &call, const folder::Path &path) override
    {
        return path.text().ends_with("/1") && left_-- > 0 ? folder::Info{} : PosixFs::look(call, path);
    }

private:
    int left_;
};

}  // namespace

BOOST_AUTO_TEST_CASE(what_is_listed_is_looked_for_again)
{
    TempFolder root;
    FolderStore maker(open_fs(root.path));
    maker.create(Call(), new_build("contoso", 1));
    // Each attempt is eight looks.
    FolderStore once(std::make_unique<Forgetful>(root.path.string(), 12));
    BOOST_TEST(once.find(Call(), {"contoso", 1}).runid == 1);
    FolderStore never(std::make_unique<Forgetful>(root.path.string(), 1000));
    BOOST_TEST(failure([&] { never.find(Call(), {"contoso", 1}); }) ==
               "unavailable; contoso/1: the file server lists it, and does not find it; try again");
    BOOST_TEST(failure([&] { never.find(Call(), {"contoso", 2}); }) == "not_found; contoso/2: no such build");
}
#endif

// A maker that took an id too early gives it back; who comes in between waits for that.
BOOST_AUTO_TEST_CASE(what_lies_in_both_places_for_a_moment_is_no_damage)
{
    TempFolder root;
    FolderStore store(open_fs(root.path));
    store.create(Call(), new_build("contoso", 1));
    store.archive(Call(), {"contoso", 1});
    const fs::path live = root.path / "contoso/logs/1";
    fs::create_directories(live);
    spill(live / "build.json", "{\"uuid\":\"of a draft\"}");
    std::thread maker([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        fs::remove_all(live);
    });
    BOOST_TEST(failure([&] { store.restore(Call(), {"contoso", 1}); }) == "nothing thrown");
    maker.join();
    BOOST_TEST(fs::exists(live / "build.json"));
    BOOST_TEST(!fs::exists(root.path / "contoso/logs/archive/1"));
    // What stays is.
    fs::create_directories(root.path / "contoso/logs/archive/1");
    BOOST_TEST(failure([&] { store.archive(Call(), {"contoso", 1}); }) ==
               "corrupt; contoso/1: lies in the main list and in the archive");
}
