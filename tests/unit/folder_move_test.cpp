#define BOOST_TEST_MODULE folder_move
#include <boost/test/unit_test.hpp>

#include <map>
#include <thread>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/xattr.h>

#include <folder-store/journal.hpp>

#include "folder_fixture.hpp"

// Archive and restore where the archive is another file system: pretended, so that every step can be broken off, and real.

using namespace fixture;

namespace {

// What a tree is, told by the standard library and by system calls, not by what is tested. Content by its bytes.
std::string portrait(const fs::path &top)
{
    std::map<std::string, std::string> items;
    std::map<ino_t, std::string> first;
    std::vector<fs::path> all = {top};
    for (const auto &item : fs::recursive_directory_iterator(top)) all.push_back(item.path());
    std::sort(all.begin(), all.end());
    for (const fs::path &path : all) {
        struct stat found;
        if (::lstat(path.c_str(), &found) != 0) throw std::runtime_error("lstat");
        std::ostringstream text;
        text << std::oct << found.st_mode << std::dec << " " << found.st_uid << " " << found.st_gid << " " << found.st_rdev;
        // Not every file server lets a link have times; and NFS has no extended attributes.
        const bool is_served = over_nfs || ::getenv("LITBUILD_TEST_BASE");
        if (!is_served || !S_ISLNK(found.st_mode)) text << " " << found.st_mtim.tv_sec << "." << found.st_mtim.tv_nsec;
        if (!S_ISDIR(found.st_mode)) {
            text << " =" << first.try_emplace(found.st_ino, path.lexically_relative(top).string()).first->second << " n"
                 << found.st_nlink;
            if (found.st_nlink == 1) first.erase(found.st_ino);
        }
        if (S_ISLNK(found.st_mode)) text << " ->" << fs::read_symlink(path).string();
        if (S_ISREG(found.st_mode))
            text << " " << found.st_size << " " << std::hash<std::string>()(slurp(path));
        char names[4096], value[4096];
        const ssize_t size = over_nfs ? 0 : ::llistxattr(path.c_str(), names, sizeof names);
        for (ssize_t at = 0; at < size; at += static_cast<ssize_t>(std::strlen(names + at)) + 1) {
            const ssize_t got = ::lgetxattr(path.c_str(), names + at, value, sizeof value);
            text << " " << names + at << "=" << std::string(value, static_cast<size_t>(std::max<ssize_t>(got, 0)));
        }
        items[path.lexically_relative(top).string()] = text.str();
    }
    std::string text;
    for (const auto &[name, item] : items) text += name + ": " + item + "\n";
    return text;
}

void set_time(const fs::path &path, int64_t seconds, long nanoseconds)
{
    const timespec times[2] = {{seconds, 1}, {seconds, nanoseconds}};
    if (::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) throw std::runtime_error("utimensat");
}

// A bit of everything that a folder can hold. Times last, deepest first.
void furnish(const fs::path &folder)
{
    spill(folder / "asset.bin", std::string(3 * 1024 * 1024 + 17, 'a'));
    spill(folder / "empty", "");
    spill(folder / "sub/deep/file", "x");
    fs::create_directories(folder / "nothing/inside");
    fs::create_hard_link(folder / "asset.bin", folder / "sub/asset.again");
    fs::create_hard_link(folder / "sub/deep/file", folder / "sub/file");
    fs::create_symlink("../elsewhere", folder / "sub/link");
    fs::create_symlink("/etc/passwd", folder / "absolute");
    spill(folder / "odd \xff\n name", "odd");
    if (::mkfifo((folder / "pipe").c_str(), 0640) != 0) throw std::runtime_error("mkfifo");
    const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::snprintf(address.sun_path, sizeof address.sun_path, "%s", (folder / "socket").c_str());
    if (::bind(socket, reinterpret_cast<sockaddr *>(&address), sizeof address) != 0) throw std::runtime_error("bind");
    ::close(socket);
    const int sparse = ::open((folder / "sparse").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (::ftruncate(sparse, 8 * 1024 * 1024) != 0 || ::pwrite(sparse, "mid", 3, 5 * 1024 * 1024) != 3)
        throw std::runtime_error("sparse");
    ::close(sparse);
    // Where the file system keeps them.
    (void)!::setxattr((folder / "asset.bin").c_str(), "user.origin", "feed 7", 6, 0);
    (void)!::setxattr((folder / "sub").c_str(), "user.checked", "", 0, 0);
    fs::permissions(folder / "asset.bin", fs::perms(0440));
    fs::permissions(folder / "sub/deep", fs::perms(0555));
    fs::permissions(folder / "nothing", fs::perms(02770));
    fs::permissions(folder / "empty", fs::perms(04755));
    std::vector<fs::path> all = {folder};
    for (const auto &item : fs::recursive_directory_iterator(folder)) all.push_back(item.path());
    std::sort(all.begin(), all.end(), std::greater<>());
    int64_t seconds = 1'500'000'000;
    for (const fs::path &path : all) set_time(path, ++seconds, 123'456'789);
}

// The file of the lock comes with the first move; a portrait of before knows it, too.
void touch_tags_lock(const fs::path &folder)
{
    std::ofstream(folder / ".tags.lock").flush();
}

struct TwoDisks : FaultyStore {
    TwoDisks() { faults->two_disks = true; }
    BuildName furnished(int number = 1)
    {
        const BuildName build{"contoso", store.create(Call(), new_build("contoso", number)).runid};
        touch_tags_lock(live(build));
        furnish(live(build));
        return build;
    }
    fs::path live(const BuildName &build) const { return logs / std::to_string(build.runid); }
    fs::path archived(const BuildName &build) const { return logs / "archive" / std::to_string(build.runid); }
    // Nothing but the builds, and what always is there.
    bool is_broken_off = false;
    std::string left_overs() const
    {
        std::string text;
        for (const fs::path &folder : {logs, logs / "archive", logs / ".ops"}) {
            if (!fs::exists(folder)) continue;
            for (const auto &item : fs::directory_iterator(folder)) {
                const std::string name = item.path().filename();
                if (parse_runid(name) || name == ".next" || name == ".next.lock" || name == ".ops" ||
                    name == ".removed" || name == "archive")
                    continue;
                // The last thing that a move does; the next one uses it.
                if (name == ".1.lock" && is_broken_off) continue;
                text += name + " ";
            }
        }
        return text;
    }
    std::string all() { return listed(store, {"contoso", Scope::all, 0, 0}); }
};

}  // namespace

// NFS before 4.2 does not.
static bool tells_of_holes(const fs::path &file)
{
    const linux_::Descriptor fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat found;
    return ::fstat(fd.get(), &found) == 0 && ::lseek(fd.get(), 0, SEEK_HOLE) < found.st_size;
}

BOOST_AUTO_TEST_CASE(all_that_a_folder_holds_travels_there_and_back)
{
    TwoDisks f;
    const BuildName build = f.furnished();
    const std::string before = portrait(f.live(build));
    const bool has_holes = tells_of_holes(f.live(build) / "sparse");
    BOOST_TEST(f.store.archive(Call(), build).path == f.archived(build).string());
    BOOST_TEST(f.all() == "a1");
    BOOST_TEST(portrait(f.archived(build)) == before);
    struct stat sparse;
    BOOST_REQUIRE(::stat((f.archived(build) / "sparse").c_str(), &sparse) == 0);
    BOOST_TEST((sparse.st_blocks < 1024 || !has_holes));
    BOOST_TEST(f.left_overs() == "");
    BOOST_TEST(f.store.archive(Call(), build).archived);
    BOOST_TEST(!f.store.restore(Call(), build).archived);
    BOOST_TEST(f.all() == "1");
    BOOST_TEST(portrait(f.live(build)) == before);
    BOOST_TEST(f.left_overs() == "");
}

BOTH_WAYS(a_real_other_disk)
{
    if (!can_mount("a_real_other_disk")) return;
    TempFolder root;
    const int failed = in_processes(1, [&](int) {
        own_mounts();
        FolderStore own(open_fs(root.path.string(), way));
        const fs::path logs = root.path / "contoso/logs";
        const BuildName build{"contoso", own.create(Call(), new_build("contoso", 1)).runid};
        fs::create_directories(logs / "archive");
        mount_small_disk(logs / "archive", "size=64m");
        touch_tags_lock(logs / "1");
        furnish(logs / "1");
        // Only what both keep can be compared.
        const bool keeps = ::setxattr((logs / "archive").c_str(), "user.try", "", 0, 0) == 0;
        if (!keeps) {
            ::removexattr((logs / "1/asset.bin").c_str(), "user.origin");
            ::removexattr((logs / "1/sub").c_str(), "user.checked");
        }
        const std::string before = portrait(logs / "1");
        uint64_t last = 0, most = 0;
        const Call call = Call().on_progress([&](uint64_t done, uint64_t total) {
            expect(done >= last && done <= total, "progress");
            last = done, most = total;
        });
        expect(own.archive(call, build).archived, "archive");
        expect(last == most && most > 3u * 1024 * 1024, "all is told");
        struct stat a, b;
        expect(::stat(logs.c_str(), &a) == 0 && ::stat((logs / "archive/1").c_str(), &b) == 0 && a.st_dev != b.st_dev,
               "another disk");
        expect(portrait(logs / "archive/1") == before, "there:\n" + before + portrait(logs / "archive/1"));
        own.restore(Call(), build);
        expect(portrait(logs / "1") == before, "back:\n" + before + portrait(logs / "1"));
        expect(dotted(logs) == std::string(".next") + next_lock + " .ops archive", dotted(logs));
        expect(dotted(logs / "archive").empty() && fs::is_empty(logs / ".ops"), "left overs");
        own.archive(Call(), build);
        own.remove(Call(), build);
        expect(fs::is_empty(logs / "archive"), "removed");
    });
    BOOST_TEST(failed == 0);
}

BOOST_AUTO_TEST_CASE(a_full_archive_loses_nothing)
{
    if (!can_mount("a_full_archive_loses_nothing")) return;
    TempFolder root;
    const int failed = in_processes(1, [&](int) {
        own_mounts();
        FolderStore own(open_fs(root.path.string()));
        const fs::path logs = root.path / "contoso/logs";
        const BuildName build{"contoso", own.create(Call(), new_build("contoso", 1)).runid};
        spill(logs / "1/asset", std::string(300'000, 'x'));
        fs::create_directories(logs / "archive");
        mount_small_disk(logs / "archive", "size=128k");
        const std::string why = failure([&] { own.archive(Call(), build); });
        expect(why.starts_with("no_space; "), why);
        expect(listed(own, {"contoso", Scope::all, 0, 0}) == "1", "list");
        expect(fs::is_empty(logs / "archive") && fs::is_empty(logs / ".ops"), "left overs");
        expect(::mount(nullptr, (logs / "archive").c_str(), nullptr, MS_REMOUNT, "size=1m") == 0, "remount");
        expect(own.archive(Call(), build).archived, "archive");
        expect(slurp(logs / "archive/1/asset").size() == 300'000, "whole");
    });
    BOOST_TEST(failed == 0);
}

// A crash before each change that the move makes, and at each again in what comes after: the build is there exactly once
// and whole, and what is asked for then happens.
static void crash_everywhere(bool back, bool other_way_then)
{
    struct Crash {};
    int points = 0;
    for (bool crashed = true; crashed; points += stride()) {
        TwoDisks f;
        const BuildName build = f.furnished();
        const std::string before = portrait(f.live(build));
        if (back) f.store.archive(Call(), build);
        crashed = false;
        int left = points;
        std::string where = "the end";
        f.faults->on_change = [&](const char *what, const std::string &path) {
            if (left-- == 0) {
                where = what + (" " + path);
                throw Crash();
            }
        };
        try {
            back ? f.store.restore(Call(), build) : f.store.archive(Call(), build);
        } catch (const Crash &) {
            crashed = true;
        }
        f.faults->on_change = {};
        f.is_broken_off = true;
        // Whoever moved it is a process that lives, for it is this one; but it does not hold the lock.
        const std::string all = f.all();
        BOOST_TEST((all == "1" || all == "a1"), where << ": " << all);
        BOOST_TEST(portrait(f.store.find(Call(), build).path) == before, where);
        const std::string tag = "kept";
        f.store.edit_tags(Call(), build, {&tag, 1}, {});
        const std::string tagged = slurp(fs::path(f.store.find(Call(), build).path) / "tags");
        BOOST_TEST(tagged == "kept\n");
        const bool to_live = back != other_way_then;
        BOOST_TEST(failure([&] { to_live ? f.store.restore(Call(), build) : f.store.archive(Call(), build); }) ==
                   "nothing thrown", where);
        BOOST_TEST(f.all() == (to_live ? "1" : "a1"), where);
        const fs::path now = to_live ? f.live(build) : f.archived(build);
        BOOST_TEST(slurp(now / "tags") == "kept\n", where);
        fs::remove(now / "tags");
        std::string after = portrait(now);
        // The tags have changed the times of the folder itself.
        BOOST_TEST(after.substr(after.find('\n')) == before.substr(before.find('\n')), where);
        BOOST_TEST(f.left_overs() == "", where);
    }
    BOOST_TEST(points > 15);
}

BOOST_AUTO_TEST_CASE(a_broken_off_archiving_is_finished) { crash_everywhere(false, false); }
BOOST_AUTO_TEST_CASE(a_broken_off_archiving_is_undone) { crash_everywhere(false, true); }
BOOST_AUTO_TEST_CASE(a_broken_off_restoring_is_finished) { crash_everywhere(true, false); }
BOOST_AUTO_TEST_CASE(a_broken_off_restoring_is_undone) { crash_everywhere(true, true); }

// An error instead of a crash: it is reported, nothing is lost, and the next time it works.
BOOST_AUTO_TEST_CASE(an_error_at_each_change_is_reported)
{
    int points = 0;
    for (bool failed = true; failed; points += stride()) {
        TwoDisks f;
        const BuildName build = f.furnished();
        const std::string before = portrait(f.live(build));
        int left = points;
        failed = false;
        std::string where;
        f.faults->on_change = [&](const char *what, const std::string &path) {
            if (left-- != 0) return;
            failed = true;
            where = what + (" " + path);
            throw Error(Code::unavailable, "disk: Input/output error", EIO);
        };
        const std::string why = failure([&] { f.store.archive(Call(), build); });
        f.faults->on_change = {};
        f.is_broken_off = true;
        const bool is_told = why.find("Input/output error") != std::string::npos;
        BOOST_TEST((!failed || is_told || where == "remove_file contoso/logs/.ops/.1.lock"), where << ": " << why);
        const std::string all = f.all();
        BOOST_TEST((all == "1" || all == "a1"), all);
        BOOST_TEST(portrait(f.store.find(Call(), build).path) == before);
        f.store.archive(Call(), build);
        BOOST_TEST(f.all() == "a1");
        BOOST_TEST(portrait(f.archived(build)) == before);
        BOOST_TEST(f.left_overs() == "");
    }
    BOOST_TEST(points > 15);
}

BOOST_AUTO_TEST_CASE(a_lost_reply_of_each_rename_is_settled_by_looking)
{
    TwoDisks f;
    const BuildName build = f.furnished();
    f.faults->lost_reply = true;
    BOOST_TEST(f.store.archive(Call(), build).archived);
    BOOST_TEST(!f.store.restore(Call(), build).archived);
    BOOST_TEST(f.all() == "1");
    BOOST_TEST(f.left_overs() == "");
}

BOOST_AUTO_TEST_CASE(a_cancelled_move_goes_on_where_it_was)
{
    TwoDisks f;
    const BuildName build = f.furnished();
    for (int i = 0; i < 20; ++i) spill(f.live(build) / ("part" + std::to_string(i)), std::string(100'000, 'p'));
    const std::string before = portrait(f.live(build));
    Canceller canceller;
    const Call call = Call().cancelled_by(canceller).on_progress([&](uint64_t done, uint64_t) {
        if (done > 2'000'000) canceller.cancel();
    });
    BOOST_TEST(failure([&] { f.store.archive(call, build); }) ==
               "cancelled; contoso/1: archiving it was cancelled; what is copied stays, and the next time it goes on from there");
    BOOST_TEST(f.all() == "1");
    BOOST_TEST(portrait(f.live(build)) == before);
    std::map<std::string, ino_t> copied;
    for (const auto &item : fs::directory_iterator(f.logs / "archive"))
        if (item.path().filename().string().ends_with(".links")) continue;
        else if (item.path().filename().string().starts_with(".mv-"))
            for (const auto &file : fs::directory_iterator(item.path())) {
                struct stat found;
                BOOST_REQUIRE(::lstat(file.path().c_str(), &found) == 0);
                copied[file.path().filename()] = found.st_ino;
            }
    BOOST_TEST(copied.contains("asset.bin"));
    f.store.archive(Call(), build);
    BOOST_TEST(portrait(f.archived(build)) == before);
    struct stat found;
    BOOST_REQUIRE(::lstat((f.archived(build) / "asset.bin").c_str(), &found) == 0);
    BOOST_TEST(found.st_ino == copied["asset.bin"]);
    BOOST_TEST(f.left_overs() == "");
    BOOST_TEST(failure([&] { f.store.restore(Call::until(Clock::now()), build); }).starts_with("timeout;"));
}

BOOST_AUTO_TEST_CASE(what_is_changed_meanwhile_travels_too)
{
    TwoDisks f;
    const BuildName build = f.furnished();
    int copies = 0;
    f.faults->on_copied = [&] {
        const fs::path folder = f.live(build);
        if (++copies == 1) {
            spill(folder / "late", "late");
            fs::remove(folder / "empty");
            spill(folder / "sub/file2", "x");
            const std::string tag = "late";
            f.store.edit_tags(Call(), build, {&tag, 1}, {});
        }
        // Of the same size and, as far as the clock tells, of the same time.
        if (copies == 2) {
            struct stat found;
            BOOST_REQUIRE(::stat((folder / "late").c_str(), &found) == 0);
            spill(folder / "late", "LATE");
            set_time(folder / "late", found.st_mtim.tv_sec, found.st_mtim.tv_nsec);
        }
    };
    f.store.archive(Call(), build);
    BOOST_TEST(slurp(f.archived(build) / "late") == "LATE");
    BOOST_TEST(slurp(f.archived(build) / "tags") == "late\n");
    BOOST_TEST(!fs::exists(f.archived(build) / "empty"));
    BOOST_TEST(f.left_overs() == "");
}

// A file server may know of what was to be read only that it has gone.
BOOST_AUTO_TEST_CASE(what_goes_while_it_is_read_is_copied_again)
{
    TwoDisks f;
    const BuildName build = f.furnished();
    int copies = 0;
    f.faults->on_copied = [&] { ++copies; };
    f.faults->gone_while_copied = 1;
    f.store.archive(Call(), build);
    BOOST_TEST(copies == 2);
    BOOST_TEST(f.all() == "a1");
    BOOST_TEST(f.left_overs() == "");
    f.store.restore(Call(), build);
    f.faults->gone_while_copied = 100;
    BOOST_TEST(failure([&] { f.store.archive(Call(), build); }) ==
               "unavailable; contoso/1: changes while it is moved; try again");
    BOOST_TEST(f.all() == "1");
    BOOST_TEST(f.left_overs() == "");
}

// Then nobody knows what is on the disk, whatever a second try says.
BOOST_AUTO_TEST_CASE(what_goes_while_it_is_written_is_told)
{
    TwoDisks f;
    const BuildName build = f.furnished();
    f.faults->on_copied = [&] { throw Error(Code::unavailable, "a file: cannot write it to the disk", ESTALE); };
    BOOST_TEST(failure([&] { f.store.archive(Call(), build); }) == "unavailable; a file: cannot write it to the disk");
    BOOST_TEST(f.all() == "1");
    BOOST_TEST(f.left_overs() == "");
}

BOOST_AUTO_TEST_CASE(what_never_rests_is_not_moved)
{
    TwoDisks f;
    const BuildName build = f.furnished();
    int copies = 0;
    f.faults->on_copied = [&] { spill(f.live(build) / "busy", std::to_string(++copies)); };
    BOOST_TEST(failure([&] { f.store.archive(Call(), build); }) ==
               "unavailable; contoso/1: changes while it is moved; try again");
    BOOST_TEST(f.all() == "1");
    BOOST_TEST(f.left_overs() == "");
}

BOTH_WAYS(no_tag_is_lost_on_the_way)
{
    TempFolder root;
    auto faulty = std::make_unique<Faulty>(root.path.string(), way);
    faulty->two_disks = true;
    FolderStore store(std::move(faulty));
    const BuildName build{"contoso", store.create(Call(), new_build("contoso", 1)).runid};
    const int failed = in_processes(4, [&](int process) {
        auto mine = std::make_unique<Faulty>(root.path.string(), way);
        mine->two_disks = true;
        FolderStore own(std::move(mine));
        for (int i = 0; i < 25; ++i) {
            const std::string tag = "p" + std::to_string(process) + "-" + std::to_string(i);
            if (process < 3) own.edit_tags(Call(), build, {&tag, 1}, {});
            const std::string all = listed(own, {"contoso", Scope::all, 0, 0});
            expect(all == "1" || all == "a1", "listed: " + all);
            if (process != 3) continue;
            own.archive(Call(), build);
            own.restore(Call(), build);
        }
    });
    BOOST_TEST(failed == 0);
    BOOST_TEST(store.tags(Call(), build).size() == 75u);
}

BOTH_WAYS(who_comes_second_waits_and_finds_it_done)
{
    TempFolder root;
    FolderStore store(open_fs(root.path.string()));
    for (int i = 1; i <= 4; ++i) {
        store.create(Call(), new_build("contoso", i));
        furnish(root.path / "contoso/logs" / std::to_string(i));
    }
    const int failed = in_processes(4, [&](int process) {
        auto mine = std::make_unique<Faulty>(root.path.string(), way);
        mine->two_disks = true;
        FolderStore own(std::move(mine));
        for (int round = 0; round < 3; ++round)
            for (int64_t id = 1; id <= 4; ++id) {
                if ((round + process) % 2 == 0) own.archive(Call(), {"contoso", id});
                else own.restore(Call(), {"contoso", id});
            }
    });
    BOOST_TEST(failed == 0);
    for (int64_t id = 1; id <= 4; ++id) BOOST_TEST(text_of(store, {"contoso", id}, "sub/deep/file") == "x");
    BOOST_TEST(dotted(root.path / "contoso/logs") == std::string(".next") + next_lock + " .ops archive");
    BOOST_TEST(dotted(root.path / "contoso/logs/archive") == "");
    BOOST_TEST(dotted(root.path / "contoso/logs/.ops") == "");
}

namespace {

std::string record_of(const BuildName &build, const std::string &op, const folder::Owner &owner)
{
    folder::Journal journal;
    journal.op = op;
    journal.runid = build.runid;
    journal.owner = owner;
    journal.time = "2026-01-01T00:00:00Z";
    return folder::to_text(journal);
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_way_of_another_host_is_left_alone)
{
    TwoDisks f;
    const BuildName build = f.furnished();
    folder::Owner other = folder::Owner::self();
    other.host = "far-away";
    other.boot = "11111111-2222-3333-4444-555555555555";
    spill(f.logs / ".ops/1-aa.json", record_of(build, "1-aa", other));
    fs::create_directories(f.logs / "archive/.mv-1-aa");
    for (const auto &move : {std::function([&] { f.store.archive(Call(), build); }),
                             std::function([&] { f.store.restore(Call(), build); }),
                             std::function([&] { f.store.remove(Call(), build); })})
        BOOST_TEST(failure(move).starts_with("unavailable; contoso/1: is being moved by pid "));
    BOOST_TEST(fs::exists(f.logs / "archive/.mv-1-aa"));
    BOOST_TEST(f.all() == "1");
    // One of its name on a root that is shared may be another; one that has restarted since does not go on with anything.
    other.host = folder::Owner::self().host;
    other.machine = "another one";
    spill(f.logs / ".ops/1-aa.json", record_of(build, "1-aa", other));
    f.faults->is_shared = true;
    BOOST_TEST(failure([&] { f.store.archive(Call(), build); }).starts_with("unavailable; contoso/1: is being moved by pid "));
    f.faults->is_shared = false;
    other.machine = folder::Owner::self().machine;
    if (other.machine.empty() && (f.faults->capabilities() & LB_STORE_SHARED) != 0) return;
    spill(f.logs / ".ops/1-aa.json", record_of(build, "1-aa", other));
    BOOST_TEST(f.store.archive(Call(), build).archived);
    BOOST_TEST(f.left_overs() == "");
}

// Who stood still for longer than his lock holds finds another one at work, at whatever step he was.
BOOST_AUTO_TEST_CASE(without_his_lock_nobody_goes_on)
{
    int taken_away = 0;
    bool is_past = false;
    for (int step = 1; !is_past; ++step) {
        TwoDisks f;
        const BuildName build = f.furnished();
        int steps = 0;
        f.faults->on_change = [&](const char *, const std::string &) { f.faults->is_taken_away = ++steps >= step; };
        const std::string why = failure([&] { f.store.archive(Call(), build); });
        is_past = steps < step;
        const bool is_told = why == "unavailable; contoso/1: its lock was taken away, for it took too long; try again";
        BOOST_TEST((is_told || why == "nothing thrown"), why);
        taken_away += is_told;
        BOOST_TEST((f.all() == "1" || f.all() == "a1" || is_told), f.all());
        f.faults->on_change = {};
        f.faults->is_taken_away = false;
        BOOST_TEST(f.store.archive(Call(), build).archived);
        BOOST_TEST(f.all() == "a1");
        BOOST_TEST(text_of(f.store, build, "events.jsonl") == "{}\n");
        BOOST_TEST(f.left_overs() == "");
    }
    BOOST_TEST(taken_away > 5);
}

BOOST_AUTO_TEST_CASE(who_moves_a_build_is_waited_for_and_not_for_ever)
{
    TwoDisks f;
    const BuildName build = f.furnished();
    fs::create_directories(f.logs / ".ops");
    const auto held = f.faults->inner.lock(Call(), folder::Path() / "contoso" / "logs" / ".ops" / "1");
    BOOST_TEST(failure([&] { f.store.archive(Call::within(std::chrono::seconds(3)), build); }) ==
               "timeout; contoso/1: is being moved by others; waiting for them was too long");
    BOOST_TEST(f.all() == "1");
}

BOOST_AUTO_TEST_CASE(something_else_in_its_place_is_left_alone)
{
    TwoDisks f;
    const BuildName build = f.furnished();
    spill(f.logs / "archive/1", "a file");
    BOOST_TEST(failure([&] { f.store.archive(Call(), build); }).starts_with("exists; contoso/1: something else lies at "));
    BOOST_TEST(slurp(f.logs / "archive/1") == "a file");
    BOOST_TEST(f.all() == "1");
    BOOST_TEST(f.left_overs() == "");
    spill(f.logs / ".ops/1-bb.json", "{\"torn");
    fs::create_directories(f.logs / "archive/.mv-1-bb");
    BOOST_TEST(failure([&] { f.store.archive(Call(), build); }).starts_with(
        "corrupt; contoso/1: the record of its move is damaged"));
}

BOOST_AUTO_TEST_CASE(a_deep_tree_travels)
{
    TwoDisks f;
    const BuildName build{"contoso", f.store.create(Call(), new_build("contoso", 1)).runid};
    linux_::Descriptor at(::open(f.live(build).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const std::string name(50, 'd');
    for (int i = 0; i < 500; ++i) {
        BOOST_REQUIRE(::mkdirat(at.get(), name.c_str(), 0755) == 0);
        at.reset(::openat(at.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    }
    const int failed = in_processes(1, [&](int) {
        const rlimit few{32, 32};
        expect(::setrlimit(RLIMIT_NOFILE, &few) == 0, "setrlimit");
        auto mine = std::make_unique<Faulty>(f.path.string());
        mine->two_disks = true;
        FolderStore(std::move(mine)).archive(Call(), build);
    });
    BOOST_TEST(failed == 0);
    BOOST_TEST(f.all() == "a1");
    f.store.remove(Call(), build);
    BOOST_TEST(f.left_overs() == "");
}

BOOST_AUTO_TEST_CASE(without_locks_the_record_tells)
{
    TwoDisks f;
    f.faults->no_locks = true;
    const BuildName build = f.furnished();
    BOOST_TEST(f.store.archive(Call(), build).archived);
    spill(f.logs / ".ops/1-cc.json", record_of(build, "1-cc", folder::Owner::self()));
    BOOST_TEST(failure([&] { f.store.restore(Call(), build); }).starts_with("unavailable; contoso/1: is being moved by"));
    folder::Owner dead = folder::Owner::self();
    dead.start -= 1;
    spill(f.logs / ".ops/1-cc.json", record_of(build, "1-cc", dead));
    BOOST_TEST(!f.store.restore(Call(), build).archived);
    BOOST_TEST(f.left_overs() == "");
}
