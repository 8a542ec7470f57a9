#define BOOST_TEST_MODULE folder_hostile
#include <boost/test/unit_test.hpp>

#include <fcntl.h>
#include <sys/stat.h>

#include <folder-store/journal.hpp>

#include "folder_fixture.hpp"

// What others plant or swap below the root leads nowhere: nothing outside is read, written, removed or given other rights,
// and nothing waits for a pipe.

using namespace fixture;

namespace {

// Something outside that nobody is to touch.
struct Outside : TempFolder {
    Outside() : TempFolder(memory())
    {
        spill(path / "secret", "hands off");
        spill(path / "sub/secret", "hands off");
        fs::permissions(path / "secret", fs::perms(0640));
        fs::permissions(path / "sub", fs::perms(0750));
        before = portrait();
    }
    std::string portrait() const
    {
        std::string text;
        for (const fs::path &item : {path, path / "secret", path / "sub", path / "sub/secret"}) {
            struct stat found;
            if (::lstat(item.c_str(), &found) != 0) return "gone: " + item.string();
            text += std::to_string(found.st_mode) + " " + std::to_string(found.st_uid) + " " +
                    std::to_string(found.st_mtim.tv_sec) + "." + std::to_string(found.st_mtim.tv_nsec) + " " +
                    (S_ISREG(found.st_mode) ? slurp(item) : "") + "\n";
        }
        return text;
    }
    bool is_untouched() const { return portrait() == before; }
    std::string before;
};

// Everything that a store does to a team; what fails fails with words.
void do_everything(BuildStore &store)
{
    const auto attempt = [&](auto body) {
        const std::string why = failure(body);
        BOOST_TEST(!why.starts_with("internal;"), why);
    };
    const BuildName one{"contoso", 1}, two{"contoso", 2};
    const std::string tag = "gold";
    const Call call = Call::within(std::chrono::seconds(60));
    for (const BuildName &build : {one, two}) {
        attempt([&] { store.find(call, build); });
        attempt([&] { store.tags(call, build); });
        attempt([&] { store.edit_tags(call, build, {&tag, 1}, {}); });
        attempt([&] { store.write_control(call, build, "stop", "x"); });
        attempt([&] { store.read(call, build, "log", 0, 0, [](std::string_view) { return true; }); });
        attempt([&] { store.archive(call, build); });
        attempt([&] { store.restore(call, build); });
        attempt([&] { store.archive(call, build); });
        attempt([&] { store.remove(call, build); });
    }
    attempt([&] { store.create(call, new_build("contoso", 77)); });
    attempt([&] { listed(store, {"contoso", Scope::all, 0, 0}); });
    for (const Repair repair : {Repair::no, Repair::yes})
        attempt([&] { store.examine(call, "contoso", repair, [](const Finding &) { return true; }); });
    attempt([&] { store.watch(Call::within(std::chrono::milliseconds(10)), "contoso", [](const Change &) { return true; }); });
    attempt([&] { store.teams(call); });
}

}  // namespace

// Each name that the store uses, taken by each thing that it must not follow or wait for.
BOTH_WAYS(what_is_planted_leads_nowhere)
{
    int turn = 0;
    const bool has_leases = over_nfs || is_mounted();
    for (const bool two_disks : {false, true})
        for (const char *name : {"logs/.next", "logs/.next.lease", "logs/1/.tags.lease", "logs/.ops/.1.lease",
                                 "logs/.next.lock", "logs/.ops", "logs/.removed", "logs/archive",
                                 "logs/archive/1", "logs/1/tags", "logs/1/.tags.lock", "logs/1/.control",
                                 "logs/1/build.json", "logs/1/log", "logs/1/.control/stop", "logs/.ops/.1.lock",
                                 "logs/archive/.trash-1-aa", "logs/archive/.mv-1-aa", "logs/1", "logs"})
            for (const char *what : {"link", "link to a file", "pipe", "file", "folder"}) {
                const bool is_lease = std::string_view(name).ends_with(".lease");
                // A file is somebody's, and waited for.
                if (is_lease && (!has_leases || what == std::string("file"))) continue;
                if (turn++ % stride() != 0) continue;
                Outside outside;
                TempFolder root(memory());
                auto faulty = std::make_unique<Faulty>(root.path.string(), way);
                faulty->two_disks = two_disks;
                FolderStore store(std::move(faulty));
                for (int i = 1; i <= 2; ++i) store.create(Call(), new_build("contoso", i));
                const fs::path path = root.path / "contoso" / name;
                fs::create_directories(path.parent_path());
                fs::remove_all(path);
                const std::string kind = what;
                if (kind == "link") fs::create_directory_symlink(outside.path, path);
                if (kind == "link to a file") fs::create_symlink(outside.path / "secret", path);
                if (kind == "pipe") BOOST_REQUIRE(::mkfifo(path.c_str(), 0666) == 0);
                if (kind == "file") spill(path, "19\n");
                if (kind == "folder") spill(path / "inner", "x");
                do_everything(store);
                BOOST_TEST(outside.is_untouched(), name << ": " << what);
            }
}

namespace {

struct Swapped : TempFolder {
    Swapped() : TempFolder(memory()), faults(new Faulty(path.string())), store(std::unique_ptr<Fs>(faults)), logs(path / "contoso/logs")
    {
        faults->two_disks = true;
        store.create(Call(), new_build("contoso", 1));
        spill(logs / "1/sub/secret", "hands off");
        spill(logs / "1/secret", "hands off");
        fs::permissions(logs / "1/secret", fs::perms(0777));
    }
    fs::path copy() const
    {
        for (const auto &item : fs::directory_iterator(logs / "archive"))
            if (item.path().filename().string().starts_with(".mv-")) return item.path();
        return logs / "none";
    }
    std::string all() { return listed(store, {"contoso", Scope::all, 0, 0}); }
    Outside outside;
    Faulty *faults;
    FolderStore store;
    fs::path logs;
};

}  // namespace

BOOST_AUTO_TEST_CASE(a_copy_that_is_swapped_for_a_link_is_not_followed)
{
    for (const char *what : {"", "sub"}) {
        Swapped f;
        f.faults->on_copied = [&] {
            f.faults->on_copied = {};
            const fs::path victim = *what ? f.copy() / what : f.copy();
            fs::rename(victim, f.logs / "aside");
            fs::create_directory_symlink(f.outside.path, victim);
        };
        const std::string why = failure([&] { f.store.archive(Call(), {"contoso", 1}); });
        BOOST_TEST(f.outside.is_untouched(), what);
        BOOST_TEST(slurp(f.logs / (f.all() == "1" ? "1/sub/secret" : "archive/1/sub/secret")) == "hands off", why);
    }
}

BOOST_AUTO_TEST_CASE(a_source_that_is_swapped_for_a_link_is_not_read)
{
    Swapped f;
    f.faults->on_copied = [&] {
        f.faults->on_copied = {};
        fs::rename(f.logs / "1/sub", f.logs / "aside");
        fs::create_directory_symlink(f.outside.path, f.logs / "1/sub");
    };
    f.store.archive(Call(), {"contoso", 1});
    BOOST_TEST(f.outside.is_untouched());
    // It has become a link, and as such it has travelled.
    BOOST_TEST(fs::read_symlink(f.logs / "archive/1/sub") == f.outside.path);
}

// The same size and time as what is to be copied, and rights that are nobody else's.
BOOST_AUTO_TEST_CASE(a_name_of_a_file_elsewhere_is_given_no_rights)
{
    Swapped f;
    f.faults->on_copied = [&] {
        f.faults->on_copied = {};
        fs::remove(f.copy() / "secret");
        fs::last_write_time(f.logs / "1/secret", fs::last_write_time(f.outside.path / "secret"));
        fs::create_hard_link(f.outside.path / "secret", f.copy() / "secret");
    };
    f.store.archive(Call(), {"contoso", 1});
    BOOST_TEST(f.outside.is_untouched());
    BOOST_TEST((fs::status(f.logs / "archive/1/secret").permissions() == fs::perms(0777)));
    BOOST_TEST(fs::hard_link_count(f.logs / "archive/1/secret") == 1u);
}

BOOST_AUTO_TEST_CASE(a_forged_record_removes_no_other_build)
{
    Swapped f;
    f.store.archive(Call(), {"contoso", 1});
    spill(f.logs / "1/build.json", "{\"uuid\":\"another\"}");
    struct stat found;
    BOOST_REQUIRE(::stat((f.logs / "1").c_str(), &found) == 0);
    folder::Journal journal;
    journal.op = "1-aa";
    journal.runid = 1;
    journal.to = folder::Place::live;
    journal.phase = folder::Phase::commit;
    journal.copy = found.st_ino;
    journal.owner = folder::Owner::self();
    spill(f.logs / ".ops/1-aa.json", folder::to_text(journal));
    f.store.examine(Call(), "contoso", Repair::yes, [](const Finding &) { return true; });
    BOOST_TEST(failure([&] { f.store.restore(Call(), {"contoso", 1}); }).starts_with("corrupt;"));
    BOOST_TEST(slurp(f.logs / "archive/1/secret") == "hands off");
}

// Team folders that belong to a group: what is made in them does, too, and nothing gets more rights than the umask lets it.
BOTH_WAYS(the_group_and_the_umask_of_a_team_are_kept)
{
    if (::geteuid() != 0) {
        std::fprintf(stderr, "SKIPPED: the_group_and_the_umask_of_a_team_are_kept: needs root\n");
        return;
    }
    TempFolder root;
    const int failed = in_processes(1, [&](int) {
        ::umask(027);
        auto faulty = std::make_unique<Faulty>(root.path.string(), way);
        faulty->two_disks = true;
        FolderStore store(std::move(faulty));
        fs::create_directories(root.path / "contoso/logs");
        expect(::chown((root.path / "contoso/logs").c_str(), 0, 12345) == 0, "chown");
        fs::permissions(root.path / "contoso/logs", fs::perms(02770));
        const BuildName build{"contoso", store.create(Call(), new_build("contoso", 1)).runid};
        const std::string tag = "a";
        store.edit_tags(Call(), build, {&tag, 1}, {});
        store.archive(Call(), build);
        for (const auto &item : fs::recursive_directory_iterator(root.path / "contoso/logs")) {
            struct stat found;
            expect(::lstat(item.path().c_str(), &found) == 0, "lstat");
            expect(found.st_gid == 12345, "group of " + item.path().string());
            expect((found.st_mode & 027) == 0, "mode of " + item.path().string());
            if (S_ISDIR(found.st_mode)) expect((found.st_mode & S_ISGID) != 0, "setgid of " + item.path().string());
        }
    });
    BOOST_TEST(failed == 0);
}

BOOST_AUTO_TEST_CASE(names_that_others_chose_are_shown_harmless)
{
    Store store;
    store.create_one();
    spill(store.logs / "\x1b[2J\nfine", "");
    store.examine(Call(), "contoso", Repair::no, [](const Finding &finding) {
        for (const char c : finding.text + finding.action) BOOST_TEST((c >= 0x20 && c < 0x7f));
        return true;
    });
}
