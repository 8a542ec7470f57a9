#define BOOST_TEST_MODULE folder_examine
#include <boost/test/unit_test.hpp>

#include <sys/stat.h>

#include <folder-store/journal.hpp>

#include "folder_fixture.hpp"

using namespace fixture;

namespace {

std::string findings(BuildStore &store, Repair repair, const std::string &root)
{
    static constexpr const char *states[] = {"", "repaired", "repairable", "left"};
    std::string text;
    store.examine(Call(), "contoso", repair, [&](const Finding &finding) {
        std::string line = std::string(states[static_cast<size_t>(finding.state)]) + " " + finding.kind + " " +
                           std::to_string(finding.runid) + " " + finding.text + " | " + finding.action;
        for (size_t at = 0; (at = line.find(root + "/contoso/logs", at)) != line.npos;)
            line.replace(at, root.size() + 13, "LOGS");
        text += line + "\n";
        return true;
    });
    return text;
}

struct Sick : Store {
    explicit Sick(Resolve way = Resolve::automatic) : Store(way)
    {
        for (int i = 1; i <= 3; ++i) create_one(i);
        archive(Call(), {"contoso", 3});
        for (const char *build : {"1", "2", "archive/3"}) fs::remove(logs / build / "events.jsonl");
    }
    std::string look() { return findings(*this, Repair::no, path.string()); }
    std::string repair() { return findings(*this, Repair::yes, path.string()); }
};

folder::Owner nobody()
{
    folder::Owner owner = folder::Owner::self();
    owner.start -= 1;
    return owner;
}

void make_old(const fs::path &path)
{
    fs::last_write_time(path, fs::file_time_type::clock::now() - std::chrono::hours(25));
}

}  // namespace

BOTH_WAYS(a_healthy_team_has_nothing)
{
    Sick store(way);
    BOOST_TEST(store.look() == "");
    BOOST_TEST(store.repair() == "");
    BOOST_TEST(failure([&] { store.examine(Call(), "fabrikam", Repair::no, {}); }) == "not_found; fabrikam: no such team");
    BOOST_TEST(failure([&] { store.examine(Call(), "../x", Repair::no, {}); }).starts_with("invalid;"));
}

BOTH_WAYS(temporaries_of_the_dead_go)
{
    Sick store(way);
    const std::string dead = ".tmp-" + folder::mark(nobody()) + "-0011", mine = ".tmp-" + folder::own_mark() + "-0022";
    for (const char *folder : {"", "1", "1/.control", "archive/3", "archive"}) {
        spill(store.logs / folder / dead, "");
        spill(store.logs / folder / mine, "");
    }
    spill(store.logs / ".tmp-0123456789abcdef", "young");
    spill(store.logs / ".tmp-fedcba9876543210", "old");
    make_old(store.logs / ".tmp-fedcba9876543210");
    const std::string dead_draft = ".new-" + uuid(1) + "." + folder::mark(nobody());
    const std::string my_draft = ".new-" + uuid(2) + "." + folder::own_mark();
    // Of a store that wrote no marks.
    const std::string young_draft = ".new-" + uuid(3), old_draft = ".new-" + uuid(4);
    for (const std::string &name : {dead_draft, my_draft, young_draft, old_draft})
        spill(store.logs / name / "events.jsonl", "{}\n");
    make_old(store.logs / old_draft);
    fs::create_directories(store.logs / "archive/.trash-7-ab/sub");
    const std::string found = store.look();
    BOOST_TEST(std::count(found.begin(), found.end(), '\n') == 9, found);
    BOOST_TEST(("\n" + found).find("\nleft") == found.npos, found);
    BOOST_TEST(found.find("repairable temporary 7 contoso/7: what is left of its removal lies at LOGS/archive/.trash-7-ab | "
                          "clear it\n") != found.npos, found);
    BOOST_TEST(found.find("repairable temporary 0 contoso: holds a build that never was finished, LOGS/" + dead_draft +
                          " | remove it\n") != found.npos, found);
    const std::string repaired = store.repair();
    BOOST_TEST(std::count(repaired.begin(), repaired.end(), '\n') == 9, repaired);
    BOOST_TEST(repaired.find("repairable") == repaired.npos, repaired);
    BOOST_TEST(store.look() == "");
    BOOST_TEST(dotted(store.logs) == my_draft + " " + young_draft + " .next" + next_lock + " .tmp-0123456789abcdef " +
                                         mine + " archive");
    BOOST_TEST(fs::exists(store.logs / "1/.control" / mine));
    BOOST_TEST(store.all() == "a3 2 1");
}

BOTH_WAYS(half_moves_are_ended)
{
    Sick store(way);
    const auto record = [&](const std::string &op, int64_t runid, const folder::Owner &owner) {
        folder::Journal journal;
        journal.op = op;
        journal.runid = runid;
        journal.owner = owner;
        journal.time = "2026-01-01T00:00:00Z";
        spill(store.logs / ".ops" / (op + ".json"), folder::to_text(journal));
        spill(store.logs / "archive" / (".mv-" + op) / "half", "x");
    };
    folder::Owner far = folder::Owner::self();
    far.host = "far-away", far.boot = "11111111-2222-3333-4444-555555555555", far.pid = 17;
    record("1-aa", 1, nobody());
    record("2-bb", 2, far);
    spill(store.logs / "archive/.mv-2-cc/half", "x");
    spill(store.logs / "archive/.mv-9-dd/half", "x");
    spill(store.logs / ".ops/.3.lock", "");
    spill(store.logs / ".ops/note", "");
    const std::string left_there =
        "left half-move 2 contoso/2: is being moved by pid 17 on far-away since 2026-01-01T00:00:00Z | if that has ended, "
        "archive or restore it there; if there is no such host any more, remove LOGS/.ops/2-bb.json\n"
        "left foreign 0 contoso: holds 'note' among the records of moves | remove LOGS/.ops/note\n";
    const std::string copy_left = "left half-move 9 contoso/9: a copy without its build lies at LOGS/archive/.mv-9-dd | if it "
                                  "is whole, rename it to its run id; else remove it\n";
    BOOST_TEST(store.look() ==
               "repairable stale-lock 3 contoso/3: a lock is left of a move that is over, LOGS/.ops/.3.lock | remove it\n"
               "repairable half-move 1 contoso/1: its way into the archive was broken off | go on or back, so that it is in "
               "one place\n" + left_there +
               "repairable half-move 2 contoso/2: a half copy of it lies at LOGS/archive/.mv-2-cc | remove it\n" + copy_left);
    // A look has no business to change anything.
    BOOST_TEST(fs::exists(store.logs / ".ops/.3.lock"));
    BOOST_TEST(!fs::exists(store.logs / ".ops/.1.lock"));
    BOOST_TEST(store.repair() ==
               "repaired stale-lock 3 contoso/3: a lock is left of a move that is over, LOGS/.ops/.3.lock | removed it\n"
               "repaired half-move 1 contoso/1: its way into the archive was broken off | settled: it is in the main "
               "list\n" + left_there +
               "repaired half-move 2 contoso/2: a half copy of it lies at LOGS/archive/.mv-2-cc | removed it\n" + copy_left);
    BOOST_TEST(store.look() == left_there + copy_left);
    BOOST_TEST(store.all() == "a3 2 1");
}

BOOST_AUTO_TEST_CASE(a_move_that_is_under_way_is_no_finding)
{
    FaultyStore f;
    f.faults->two_disks = true;
    f.store.create(Call(), new_build("contoso", 1));
    fs::remove(f.logs / "1/events.jsonl");
    std::string found = "not looked";
    f.faults->on_copied = [&] {
        FolderStore other(open_fs(f.path.string()));
        found = findings(other, Repair::yes, f.path.string());
    };
    f.store.archive(Call(), {"contoso", 1});
    BOOST_TEST(found == "");
    BOOST_TEST(listed(f.store, {"contoso", Scope::all, 0, 0}) == "a1");
}

BOTH_WAYS(duplicates_are_named)
{
    Sick store(way);
    // 1: the same in every byte; 2: edited; 3: another build; 4: a copy under another id.
    fs::create_directories(store.logs / "archive");
    BOOST_REQUIRE(std::system(("cp -a '" + (store.logs / "1").string() + "' '" + (store.logs / "2").string() + "' '" +
                               (store.logs / "archive").string() + "'").c_str()) == 0);
    spill(store.logs / "2/tags", "gold\n");
    fs::create_directories(store.logs / "3");
    BOOST_REQUIRE(std::system(("cp -a '" + (store.logs / "1").string() + "' '" + (store.logs / "4").string() + "'").c_str()) == 0);
    spill(store.logs / ".next", "4\n");
    const std::string others =
        "left duplicate 2 contoso/2: lies in the main list and in the archive, and they differ; the first one counts | "
        "compare them and move one elsewhere: LOGS/2, LOGS/archive/2\n"
        "left duplicate 3 contoso/3: two different builds of this id lie in the main list and in the archive; the first one "
        "counts | move one of them elsewhere: LOGS/3, LOGS/archive/3\n"
        "left duplicate 4 contoso/4: has the identity of contoso/1; one is a copy of the other | remove its build.json or "
        "the copy: a stop of one may be taken for a stop of the other\n";
    BOOST_TEST(store.look() == "repairable duplicate 1 contoso/1: lies in the main list and, the same in every byte, in the "
                               "archive | remove the archived copy\n" + others);
    BOOST_TEST(store.repair() == "repaired duplicate 1 contoso/1: lies in the main list and, the same in every byte, in the "
                                 "archive | removed the archived copy\n" + others);
    BOOST_TEST(store.look() == others);
    BOOST_TEST(fs::exists(store.logs / "1/build.json"));
}

BOTH_WAYS(foreign_files_are_left)
{
    Sick store(way);
    fs::create_directories(store.logs / "007");
    spill(store.logs / "9", "a file");
    spill(store.logs / "notes.txt", "");
    fs::create_directory_symlink("1", store.logs / "latest");
    BOOST_REQUIRE(::mkfifo((store.logs / "archive/12").c_str(), 0666) == 0);
    fs::remove_all(store.logs / "1/.control");
    fs::create_directory_symlink("/", store.logs / "1/.control");
    BOOST_REQUIRE(::mkfifo((store.logs / "archive/3/events.jsonl").c_str(), 0666) == 0);
    spill(store.logs / ".next", "12\n");
    for (int i = 0; i < 2; ++i)
        BOOST_TEST((i == 0 ? store.look() : store.repair()) ==
                   "left foreign 0 contoso: LOGS/007 is no build: its name is not the plain form of a run id | rename it or "
                   "move it elsewhere\n"
                   "left foreign 9 contoso/9: LOGS/9 is not a folder, and keeps the run id from being used | move it elsewhere\n"
                   "left foreign 0 contoso: LOGS/latest is no build | move it elsewhere, unless you know what it is\n"
                   "left foreign 0 contoso: LOGS/notes.txt is no build | move it elsewhere, unless you know what it is\n"
                   "left foreign 12 contoso/12: LOGS/archive/12 is not a folder, and keeps the run id from being used | move "
                   "it elsewhere\n"
                   "left foreign 1 contoso/1: a part of it cannot be read: LOGS/1/.control: leads through a symbolic link, "
                   "which is not followed | look at it\n"
                   "left foreign 3 contoso/3: a part of it cannot be read: LOGS/archive/3/events.jsonl: is not a regular "
                   "file | look at it\n");
}

BOTH_WAYS(a_hint_below_what_is_used_is_raised)
{
    Sick store(way);
    spill(store.logs / ".next", "1\n");
    BOOST_TEST(store.look() == "repairable run-ids 0 contoso: the last run id is said to be '1', but 3 is used | raise it\n");
    BOOST_TEST(slurp(store.logs / ".next") == "1\n");
    BOOST_TEST(store.repair() == "repaired run-ids 0 contoso: the last run id is said to be '1', but 3 is used | raised it\n");
    BOOST_TEST(slurp(store.logs / ".next") == "3\n");
    spill(store.logs / ".next", "");
    BOOST_TEST(store.look() == "repairable run-ids 0 contoso: the last run id is said to be '', but 3 is used | raise it\n");
}

BOTH_WAYS(damaged_logs_are_named)
{
    Sick store(way);
    const std::string begin = R"({"time":"2026-01-01T00:00:00Z","state":"running","type":"running"})" "\n";
    const std::string end = R"({"time":"2026-01-01T00:00:01Z","state":"complete","type":"complete"})" "\n";
    const std::string failed = R"({"time":"2026-01-01T00:00:02Z","state":"failed","type":"failed"})" "\n";
    // It still runs, as far as one can tell: a torn line may be in the making.
    spill(store.logs / "1/events.jsonl", begin + "{\"torn");
    spill(store.logs / "2/events.jsonl", begin + "garbage\n\n" + end + failed + "{\"torn");
    spill(store.logs / "archive/3/events.jsonl", begin + "{\"torn");
    spill(store.logs / "archive/3/status.json", "{");
    const std::string expected =
        "left torn-log 2 contoso/2: the last line of events.jsonl is not whole | nothing to do: it is passed over\n"
        "left torn-log 2 contoso/2: 1 line of events.jsonl cannot be read | nothing to do: what cannot be read is passed over\n"
        "left two-ends 2 contoso/2: events.jsonl tells of more than one end: complete, failed | look at the log: two runners "
        "may have worked in one folder\n"
        "left torn-log 3 contoso/3: status.json is damaged | nothing to do: events.jsonl is read instead\n"
        "left torn-log 3 contoso/3: the last line of events.jsonl is not whole | nothing to do: it is passed over\n";
    BOOST_TEST(store.look() == expected);
    BOOST_TEST(store.repair() == expected);
}

BOOST_AUTO_TEST_CASE(an_examination_ends_when_it_is_told_to)
{
    Sick store;
    for (const char *name : {"a", "b", "c"}) spill(store.logs / name, "");
    int seen = 0;
    store.examine(Call(), "contoso", Repair::no, [&](const Finding &) { return ++seen < 2; });
    BOOST_TEST(seen == 2);
    BOOST_TEST(failure([&] {
                   store.examine(Call::until(Clock::now()), "contoso", Repair::no, [](const Finding &) { return true; });
               }).starts_with("timeout;"));
}
