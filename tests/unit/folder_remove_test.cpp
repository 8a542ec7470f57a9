#define BOOST_TEST_MODULE folder_remove
#include <boost/test/unit_test.hpp>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "folder_fixture.hpp"

using namespace fixture;

BOTH_WAYS(an_archived_build_is_removed)
{
    Store store(way);
    const BuildName build = store.create_one();
    store.create_one(2);
    BOOST_TEST(failure([&] { store.remove(Call(), build); }) ==
               "refused; contoso/1: is not archived; archive it before removing");
    BOOST_TEST(failure([&] { store.remove(Call(), {"contoso", 7}); }) == "not_found; contoso/7: no such build");
    BOOST_TEST(failure([&] { store.remove(Call(), {"fabrikam", 7}); }) == "not_found; fabrikam: no such team");
    BOOST_TEST(failure([&] { store.remove(Call(), {"contoso", 0}); }).starts_with("invalid;"));
    store.archive(Call(), build);
    store.remove(Call(), build);
    BOOST_TEST(store.all() == "2");
    BOOST_TEST(failure([&] { store.remove(Call(), build); }) == "not_found; contoso/1: no such build");
    BOOST_TEST(dotted(store.logs / "archive") == "");
}

BOTH_WAYS(a_removed_id_is_never_given_again)
{
    Store store(way);
    for (int i = 1; i <= 3; ++i) store.create_one(i);
    const BuildName last{"contoso", 3};
    store.archive(Call(), last);
    store.remove(Call(), last);
    BOOST_TEST(slurp(store.logs / ".next") == "3\n");
    // Whatever becomes of the hint.
    for (const char *hint : {"2\n", "", "rubbish", "1\n"}) {
        spill(store.logs / ".next", hint);
        const BuildName next{"contoso", FolderStore(open_fs(store.path.string(), way))
                                            .create(Call(), new_build("contoso", 4)).runid};
        BOOST_TEST(next.runid > last.runid);
        store.archive(Call(), next);
        store.remove(Call(), next);
    }
    BOOST_TEST(store.create_one(9).runid == 8);
    BOOST_TEST(std::distance(fs::directory_iterator(store.logs / ".removed"), {}) == 1);
}

BOOST_AUTO_TEST_CASE(an_id_that_is_removed_between_look_and_claim_is_given_back)
{
    FaultyStore f;
    f.faults->no_locks = true;
    fs::create_directories(f.logs);
    // Another one creates, archives and removes 1 in the moment before our rename.
    f.faults->on_rename = [&](const std::string &to) {
        if (to == "contoso/logs/1") spill(f.logs / ".removed/1", "");
    };
    BOOST_TEST(f.store.create(Call(), new_build("contoso", 1)).runid == 2);
    BOOST_TEST(listed(f.store, {"contoso", Scope::all, 0, 0}) == "2");
}

BOOST_AUTO_TEST_CASE(the_run_id_is_marked_before_anything_goes)
{
    FaultyStore f;
    f.store.create(Call(), new_build("contoso", 1));
    f.store.archive(Call(), {"contoso", 1});
    std::string marked;
    f.faults->on_rename = [&](const std::string &) {
        marked = dotted(f.logs) + "; " + (fs::exists(f.logs / ".removed/1") ? "marked" : "not marked");
    };
    f.store.remove(Call(), {"contoso", 1});
    BOOST_TEST(marked == std::string(".next") + next_lock + " .ops .removed archive; marked");
}

// A crash at each change that a removal makes: the build is there whole, or it is gone; and it can be removed again.
BOOST_AUTO_TEST_CASE(a_broken_off_removal_is_whole_or_gone)
{
    struct Crash {};
    int points = 0;
    for (bool crashed = true; crashed; ++points) {
        FaultyStore f;
        f.store.create(Call(), new_build("contoso", 1));
        f.store.create(Call(), new_build("contoso", 2));
        f.store.archive(Call(), {"contoso", 2});
        crashed = false;
        int left = points;
        f.faults->on_change = [&](const char *, const std::string &) {
            if (left-- == 0) throw Crash();
        };
        try {
            f.store.remove(Call(), {"contoso", 2});
        } catch (const Crash &) {
            crashed = true;
        }
        FolderStore fresh(open_fs(f.path.string()));
        const std::string all = listed(fresh, {"contoso", Scope::all, 0, 0});
        BOOST_TEST((all == "a2 1" || all == "1"), all);
        if (all == "a2 1") BOOST_TEST(text_of(fresh, {"contoso", 2}, "events.jsonl") == "{}\n");
        const std::string again = failure([&] { fresh.remove(Call(), {"contoso", 2}); });
        BOOST_TEST((again == "nothing thrown" || all == "1"), again);
        BOOST_TEST(listed(fresh, {"contoso", Scope::all, 0, 0}) == "1");
        BOOST_TEST(dotted(f.logs / "archive") == "");
        BOOST_TEST(fresh.create(Call(), new_build("contoso", 3)).runid == 3);
    }
    BOOST_TEST(points > 6);
}

BOOST_AUTO_TEST_CASE(what_could_not_be_cleared_is_told_and_cleared_the_next_time)
{
    FaultyStore f;
    f.store.create(Call(), new_build("contoso", 1));
    f.store.archive(Call(), {"contoso", 1});
    f.faults->on_change = [](const char *what, const std::string &) {
        if (std::string(what) == "remove_tree") throw Error(Code::denied, "file: cannot remove it", EACCES);
    };
    BOOST_TEST(failure([&] { f.store.remove(Call(), {"contoso", 1}); }) ==
               "denied; contoso/1: is removed, but not all is cleared: file: cannot remove it");
    BOOST_TEST(listed(f.store, {"contoso", Scope::all, 0, 0}) == "");
    f.faults->on_change = {};
    f.store.remove(Call(), {"contoso", 1});
    BOOST_TEST(dotted(f.logs / "archive") == "");
}

BOOST_AUTO_TEST_CASE(a_lost_reply_of_a_removal_is_settled_by_looking)
{
    FaultyStore f;
    f.store.create(Call(), new_build("contoso", 1));
    f.store.archive(Call(), {"contoso", 1});
    f.faults->lost_reply = true;
    f.store.remove(Call(), {"contoso", 1});
    BOOST_TEST(listed(f.store, {"contoso", Scope::all, 0, 0}) == "");
}

BOTH_WAYS(read_only_and_unreadable_folders_go_too)
{
    Store store(way);
    const BuildName build = store.create_one();
    // In a process without privileges: the modes mean nothing to root.
    const int failed = in_processes(1, [&](int) {
        if (::getuid() == 0) {
            for (const auto &item : fs::recursive_directory_iterator(store.path))
                expect(::lchown(item.path().c_str(), 65534, 65534) == 0, "chown");
            expect(::chown(store.path.c_str(), 65534, 65534) == 0, "chown");
            expect(::setgid(65534) == 0 && ::setuid(65534) == 0, "setuid");
        }
        const fs::path folder = store.logs / "1";
        spill(folder / "a/b/c/file", "x");
        spill(folder / "closed/file", "x");
        fs::permissions(folder / "a/b/c/file", fs::perms(0));
        fs::permissions(folder / "a/b/c", fs::perms(0555));
        fs::permissions(folder / "a/b", fs::perms(0));
        fs::permissions(folder / "closed", fs::perms(0111));
        FolderStore own(open_fs(store.path.string(), way));
        own.archive(Call(), build);
        fs::permissions(store.logs / "archive/1", fs::perms(0));
        own.remove(Call(), build);
        expect(dotted(store.logs / "archive").empty(), "left: " + dotted(store.logs / "archive"));
    });
    BOOST_TEST(failed == 0);
}

BOTH_WAYS(links_are_removed_and_not_followed)
{
    Store store(way);
    const BuildName build = store.create_one();
    const fs::path folder = store.logs / "1";
    spill(store.path / "precious/file", "x");
    fs::permissions(store.path / "precious", fs::perms(0500));
    fs::create_directory_symlink(store.path / "precious", folder / "dir");
    fs::create_symlink(store.path / "precious/file", folder / "link");
    fs::create_hard_link(store.path / "precious/file", folder / "hard");
    BOOST_REQUIRE(::mkfifo((folder / "pipe").c_str(), 0666) == 0);
    store.archive(Call(), build);
    store.remove(Call(), build);
    BOOST_TEST(slurp(store.path / "precious/file") == "x");
    BOOST_TEST((fs::status(store.path / "precious").permissions() == fs::perms(0500)));
    BOOST_TEST(dotted(store.logs / "archive") == "");
    fs::permissions(store.path / "precious", fs::perms(0700));
}

namespace {

// One folder in the other, deeper than a path can be.
void dig(const fs::path &folder, int levels)
{
    linux_::Descriptor at(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const std::string name(50, 'd');
    for (int i = 0; i < levels; ++i) {
        if (::mkdirat(at.get(), name.c_str(), 0755) != 0) throw std::runtime_error("mkdirat");
        at.reset(::openat(at.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    }
    const linux_::Descriptor file(::openat(at.get(), "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
    if (!file) throw std::runtime_error("openat");
}

}  // namespace

BOTH_WAYS(a_tree_deeper_than_paths_and_descriptors_is_removed)
{
    Store store(way);
    const BuildName build = store.create_one();
    dig(store.logs / "1", 3000);
    store.archive(Call(), build);
    const int failed = in_processes(1, [&](int) {
        const rlimit few{32, 32};
        expect(::setrlimit(RLIMIT_NOFILE, &few) == 0, "setrlimit");
        FolderStore(open_fs(store.path.string(), way)).remove(Call(), build);
    });
    BOOST_TEST(failed == 0);
    BOOST_TEST(dotted(store.logs / "archive") == "");
}

BOOST_AUTO_TEST_CASE(what_is_mounted_in_a_build_is_left_alone)
{
    if (!can_mount("what_is_mounted_in_a_build_is_left_alone")) return;
    Store store;
    const BuildName build = store.create_one();
    spill(store.path / "precious/file", "x");
    fs::create_directories(store.logs / "1/inner/mount");
    store.archive(Call(), build);
    const int failed = in_processes(1, [&](int) {
        own_mounts();
        const fs::path at = store.logs / "archive/1/inner/mount";
        expect(::mount((store.path / "precious").c_str(), at.c_str(), nullptr, MS_BIND, nullptr) == 0, "bind");
        FolderStore own(open_fs(store.path.string()));
        const std::string why = failure([&] { own.remove(Call(), build); });
        expect(why.starts_with("refused; contoso/1: is removed, but not all is cleared: ") &&
                   why.ends_with("/inner/mount: is a mount point"), why);
    });
    BOOST_TEST(failed == 0);
    BOOST_TEST(slurp(store.path / "precious/file") == "x");
    store.remove(Call(), build);
    BOOST_TEST(dotted(store.logs / "archive") == "");
}

BOOST_AUTO_TEST_CASE(a_removal_ends_when_it_is_told_to)
{
    Store store;
    const BuildName build = store.create_one();
    store.archive(Call(), build);
    BOOST_TEST(failure([&] { store.remove(Call::until(Clock::now()), build); }).starts_with("timeout; contoso/1: "));
    Canceller canceller;
    canceller.cancel();
    BOOST_TEST(failure([&] { store.remove(Call().cancelled_by(canceller), build); }).starts_with("cancelled;"));
    BOOST_TEST(store.all() == "a1");
}
