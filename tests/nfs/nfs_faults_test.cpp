#define BOOST_TEST_MODULE nfs_faults
#include <boost/test/unit_test.hpp>

#include <nfsc/libnfs.h>
#include <nfsc/libnfs-raw-nfs.h>
#include <nfsc/libnfs-raw.h>

#include <nfs/mounted_fs.hpp>
#include <nfs/operations.hpp>
#include <nfs/proxy.hpp>

// Servers that stand still or die, and networks that lose and repeat, during each operation of the store.

using namespace nfs_fixture;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

bool is_full()
{
    const char *full = std::getenv("LITBUILD_TEST_LONG");
    return full && *full;
}

// A server of its own, behind a proxy, and a store that speaks to it.
struct Room {
    Room() : ganesha(fast_place()), proxy(ganesha.nfs_port) {}

    /// A root that nobody has used.
    struct Root {
        fs::path path;
        std::string address;
        std::unique_ptr<FolderStore> store;
        fs::path logs() const { return path / "contoso/logs"; }
    };
    Root root(milliseconds resend = seconds(2))
    {
        Root out;
        out.path = ganesha.exported / ("root" + std::to_string(++roots));
        fs::create_directories(out.path);
        nfs::Options options;
        options.address = nfs::parse_address(ganesha.url(out.path, proxy.port));
        options.patience.resend = resend;
        out.address = options.address.text();
        out.store = std::make_unique<FolderStore>(std::make_unique<nfs::NfsFs>(options));
        return out;
    }

    Ganesha ganesha;
    Proxy proxy;
    int roots = 0;
};

bool can_serve(const char *test)
{
    const std::string why = Ganesha::why_not();
    if (!why.empty()) std::fprintf(stderr, "SKIPPED: %s: %s\n", test, why.c_str());
    return why.empty();
}

// How many calls the operation makes.
uint64_t calls_of(Room &room, const Operation &operation)
{
    Room::Root root = room.root();
    operation.prepare(*root.store);
    room.proxy.judge({});
    operation.run(*root.store, Call());
    BOOST_TEST(operation.fault(root.logs()) == "", operation.name);
    return room.proxy.calls();
}

enum class Harm { stop, kill };

// The server stands still, or dies, at a call of the operation; it ends by its deadline with words, and when the server is
// back it can be done again, and is done once.
void harm_each(Harm harm)
{
    constexpr milliseconds deadline(300);
    milliseconds latest{};
    Room room;
    for (const Operation &operation : operations()) {
        const uint64_t calls = calls_of(room, operation);
        BOOST_TEST_MESSAGE(operation.name << ": " << calls << " calls");
        const uint64_t step = is_full() ? 1 : std::max<uint64_t>(1, (calls + 1) / 2);
        for (uint64_t point = 0; point < calls; point += step) {
            Room::Root root = room.root();
            operation.prepare(*root.store);
            const auto begin = Clock::now();
            std::atomic<bool> is_harmed{false}, was_early{false};
            room.proxy.judge([&](uint64_t number, uint32_t) {
                if (number != point) return Proxy::Fault::none;
                was_early = Clock::now() < begin + deadline / 2;
                harm == Harm::stop ? room.ganesha.freeze() : room.ganesha.end(SIGKILL);
                is_harmed = true;
                return Proxy::Fault::none;
            });
            const std::string why = failure([&] { operation.run(*root.store, Call::within(deadline)); });
            const auto time = Clock::now() - begin;
            const std::string where = operation.name + (" at call " + std::to_string(point));
            // The server comes back only after this; who held on to it would wait the ten seconds of the way in.
            BOOST_TEST((time < seconds(8)), where << ": " << std::chrono::duration_cast<milliseconds>(time).count() << " ms");
            latest = std::max(latest, std::chrono::duration_cast<milliseconds>(time));
            // Where only the clearing up was hit, it is done all the same.
            if (why != "nothing thrown") {
                BOOST_TEST(why.starts_with("timeout; "), where << ": " << why);
                // On a busy machine the time may be over before anybody is asked.
                const bool waited = was_early || why.find(": the deadline has passed") == why.npos;
                BOOST_TEST((!waited || why.find(root.address + ": has not answered for ") != why.npos), where << ": " << why);
                BOOST_TEST((!waited || why.find(" s, since 20") != why.npos), where << ": " << why);
            }
            room.proxy.judge({});
            if (is_harmed) harm == Harm::stop ? room.ganesha.thaw() : room.ganesha.start();
            const std::string then = failure([&] { operation.run(*root.store, Call::within(seconds(30))); });
            BOOST_TEST(then == "nothing thrown", where << ", the second time: " << then);
            const std::string fault = operation.fault(root.logs());
            BOOST_TEST(fault == "", where << ": " << fault);
        }
    }
    std::printf("with a deadline of %ld ms, the latest was back after %ld ms\n", static_cast<long>(deadline.count()),
                static_cast<long>(latest.count()));
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_server_that_stands_still_holds_up_nobody_beyond_his_deadline)
{
    if (can_serve("a_server_that_stands_still")) harm_each(Harm::stop);
}

BOOST_AUTO_TEST_CASE(a_server_that_dies_holds_up_nobody_beyond_his_deadline)
{
    if (can_serve("a_server_that_dies")) harm_each(Harm::kill);
}

// It comes back within the deadline: nobody notices.
BOOST_AUTO_TEST_CASE(a_server_that_is_back_in_time_is_waited_for)
{
    if (!can_serve("a_server_that_is_back_in_time")) return;
    Room room;
    for (const Harm harm : {Harm::stop, Harm::kill})
        for (const Operation &operation : operations()) {
            const uint64_t calls = calls_of(room, operation);
            const uint64_t step = is_full() ? 1 : calls;
            for (uint64_t point = is_full() ? 0 : calls / 2; point < calls; point += step) {
                Room::Root root = room.root();
                operation.prepare(*root.store);
                std::atomic<bool> is_harmed{false}, is_over{false};
                room.proxy.judge([&](uint64_t number, uint32_t) {
                    if (number == point) {
                        harm == Harm::stop ? room.ganesha.freeze() : room.ganesha.end(SIGKILL);
                        is_harmed = true;
                    }
                    return Proxy::Fault::none;
                });
                // ganesha is to be this thread's child, which it dies with: so the operation is the other one's.
                std::string why;
                std::thread other([&] {
                    why = failure([&] { operation.run(*root.store, Call::within(seconds(30))); });
                    is_over = true;
                });
                // It may need fewer calls than the last time.
                while (!is_harmed && !is_over) std::this_thread::sleep_for(milliseconds(1));
                std::this_thread::sleep_for(milliseconds(100));
                if (is_harmed) harm == Harm::stop ? room.ganesha.thaw() : room.ganesha.start();
                other.join();
                room.proxy.judge({});
                const std::string where = operation.name + (" at call " + std::to_string(point));
                BOOST_TEST(why == "nothing thrown", where << ": " << why);
                BOOST_TEST(operation.fault(root.logs()) == "", where);
            }
        }
}

// Each call that changes something is answered late, or done and not answered, or done twice with either answer.
BOOST_AUTO_TEST_CASE(identity_settles_what_a_bad_network_does)
{
    if (!can_serve("identity_settles_what_a_bad_network_does")) return;
    Room room;
    using Fault = Proxy::Fault;
    uint64_t done = 0;
    for (const Fault fault : {Fault::drop_answer, Fault::repeat, Fault::repeat_answer, Fault::delay})
        for (const Operation &operation : operations()) {
            // Which call of the operation changes something is found out on the way.
            for (uint64_t point = 0;; point += is_full() ? 1u : 3u) {
                Room::Root root = room.root(milliseconds(100));
                operation.prepare(*root.store);
                uint64_t changes = 0;
                bool is_hit = false;
                room.proxy.judge([&](uint64_t, uint32_t procedure) {
                    if (!is_change(procedure) || changes++ != point) return Fault::none;
                    is_hit = true;
                    return fault;
                });
                const std::string why = failure([&] { operation.run(*root.store, Call::within(seconds(30))); });
                room.proxy.judge({});
                if (!is_hit) break;
                ++done;
                const std::string where = std::string(operation.name) + ": fault " +
                                          std::to_string(static_cast<int>(fault)) + " at change " + std::to_string(point);
                BOOST_TEST(why == "nothing thrown", where << ": " << why);
                BOOST_TEST(operation.fault(root.logs()) == "", where);
                // A create that was done once is there once.
                BOOST_TEST(!fs::exists(root.logs() / "2"), where);
                if (fault == Fault::delay && !is_full()) break;
            }
        }
    BOOST_TEST_MESSAGE(done << " faults");
    BOOST_TEST(done > 30u);
}

// One that comes late must not be taken for the answer to another request.
BOOST_AUTO_TEST_CASE(who_waits_for_an_answer_is_not_given_to_others)
{
    if (!can_serve("who_waits_for_an_answer")) return;
    Room room;
    nfs::Server server(nfs::parse_address(room.ganesha.url(room.ganesha.exported, room.proxy.port)), {});
    std::unique_ptr<nfs::Connection> one = server.take(Call::within(seconds(30)));
    room.ganesha.freeze();
    const nfs::Outcome outcome = one->ask_once(Call::within(milliseconds(50)), [](rpc_context *rpc, auto *answered, void *self) {
        return ::rpc_nfs3_null_async(rpc, answered, self);
    }, {});
    BOOST_TEST((outcome == nfs::Outcome::timeout));
    BOOST_TEST(one->is_waiting());
    server.give_back(std::move(one));
    room.ganesha.thaw();
    BOOST_TEST(!server.take(Call::within(seconds(30)))->is_waiting());
}

// What one call costs.
BOOST_AUTO_TEST_CASE(calls_are_counted)
{
    if (!can_serve("calls_are_counted")) return;
    Room room;
    Room::Root root = room.root();
    for (int i = 1; i <= 40; ++i) root.store->create(Call(), new_build("contoso", i));
    room.proxy.judge({});
    BOOST_TEST(listed(*root.store, {"contoso", Scope::live, 0, 0}).size() > 40u);
    const uint64_t of_forty = room.proxy.calls();
    for (int i = 41; i <= 80; ++i) root.store->create(Call(), new_build("contoso", i));
    room.proxy.judge({});
    BOOST_TEST(listed(*root.store, {"contoso", Scope::live, 0, 0}).size() > 80u);
    BOOST_TEST(room.proxy.calls() == of_forty);
    BOOST_TEST_MESSAGE("list: " << of_forty << " calls");
}

// States of builds that are quiet cost nothing but the listing; and another host's changes are seen in time.
BOOST_AUTO_TEST_CASE(what_is_remembered_is_not_older_than_it_may_be)
{
    if (!can_serve("what_is_remembered")) return;
    constexpr milliseconds fresh(500);
    Room room;
    Room::Root root = room.root();
    nfs::Options options;
    options.address = nfs::parse_address(room.ganesha.url(root.path, room.proxy.port));
    options.fresh = fresh;
    FolderStore store(std::make_unique<nfs::NfsFs>(options));
    const auto replace = [&](int64_t id, const char *name, const std::string &text) {
        spill(root.logs() / std::to_string(id) / "new", text);
        fs::rename(root.logs() / std::to_string(id) / "new", root.logs() / std::to_string(id) / name);
    };
    constexpr int builds = 50;
    for (int i = 1; i <= builds; ++i) {
        root.store->create(Call(), new_build("contoso", i));
        replace(i, "status.json", "old");
    }
    const auto pass = [&] {
        std::string text;
        listed(store, {"contoso", Scope::live, 0, 0});
        for (int i = 1; i <= builds; ++i) text += text_of(store, {"contoso", i}, "status.json").substr(0, 1);
        return text;
    };
    for (int i = 0; i < 3; ++i) {
        BOOST_TEST(pass() == std::string(builds, 'o'));
        std::this_thread::sleep_for(fresh + milliseconds(100));
    }
    // One that takes longer than what was listed is fresh asks again.
    uint64_t least = 1'000'000;
    for (int i = 0; i < 50 && least >= 10; ++i) {
        room.proxy.judge({});
        BOOST_TEST(pass() == std::string(builds, 'o'));
        least = std::min(least, room.proxy.calls());
    }
    BOOST_TEST_MESSAGE("list of " << builds << " quiet builds with states: " << least << " calls");
    BOOST_TEST(least < 10u);
    // Replaced, removed, tagged, moved and written in place by others.
    replace(7, "status.json", "new");
    fs::remove(root.logs() / "8/status.json");
    BOOST_TEST(store.tags(Call(), {"contoso", 9}).empty());
    replace(9, "tags", "gold\n");
    root.store->archive(Call(), {"contoso", 10});
    const std::string before = text_of(store, {"contoso", 11}, "events.jsonl");
    spill(root.logs() / "11/events.jsonl", before + "more\n");
    std::this_thread::sleep_for(fresh + milliseconds(100));
    BOOST_TEST(text_of(store, {"contoso", 7}, "status.json") == "new");
    BOOST_TEST(failure([&] { text_of(store, {"contoso", 8}, "status.json"); }).starts_with("not_found;"));
    BOOST_TEST(store.tags(Call(), {"contoso", 9}) == std::vector<std::string>{"gold"});
    BOOST_TEST(store.find(Call(), {"contoso", 10}).archived);
    BOOST_TEST(text_of(store, {"contoso", 10}, "status.json") == "old");
    BOOST_TEST(text_of(store, {"contoso", 11}, "events.jsonl") == before + "more\n");
    // One's own at once.
    const std::string tag = "mine";
    store.edit_tags(Call(), {"contoso", 12}, {&tag, 1}, {});
    BOOST_TEST(store.tags(Call(), {"contoso", 12}) == std::vector<std::string>{"mine"});
    store.archive(Call(), {"contoso", 13});
    BOOST_TEST(text_of(store, {"contoso", 13}, "status.json") == "old");
}

namespace {

// A root, by the server or by the folder itself, as a host that has it mounted.
std::unique_ptr<folder::Fs> way_in(const Room &room, const fs::path &path, bool is_mounted, milliseconds lease)
{
    if (is_mounted) return std::make_unique<nfs::MountedFs>(path.string(), lease);
    nfs::Options options;
    options.address = nfs::parse_address(room.ganesha.url(path));
    options.lease = lease;
    return std::make_unique<nfs::NfsFs>(options);
}

}  // namespace

// A lock of who is gone is taken over; one of who lives is not. Whichever way the two come.
BOOST_AUTO_TEST_CASE(a_lock_goes_with_its_holder)
{
    if (!can_serve("a_lock_goes_with_its_holder")) return;
    constexpr milliseconds lease(2000);
    Room room;
    for (const auto &[holder_mounts, waiter_mounts] : {std::pair(true, false), {false, true}, {true, true}, {false, false}}) {
        if (!is_full() && holder_mounts == waiter_mounts) continue;
        BOOST_TEST_CONTEXT("holder mounts: " << holder_mounts << ", waiter mounts: " << waiter_mounts)
        {
            Room::Root root = room.root();
            root.store->create(Call(), new_build("contoso", 1));
            const folder::Path tags = folder::Path() / "contoso" / "logs" / "1" / "tags";
            const fs::path file = root.logs() / "1/.tags.lease";
            const auto one = way_in(room, root.path, holder_mounts, lease);
            const auto other = way_in(room, root.path, waiter_mounts, lease);
            {
                const auto held = one->lock(Call(), tags);
                // Kept alive for several leases.
                BOOST_TEST(failure([&] { other->lock(Call::within(3 * lease), tags); }).starts_with("timeout; "));
                BOOST_TEST(held->is_held(Call()));
            }
            BOOST_TEST(failure([&] { other->lock(Call::within(seconds(30)), tags); }) == "nothing thrown");
            // Of a process that is gone: at once.
            BOOST_TEST(in_processes(1, [&, mounts = holder_mounts](int) {
                const auto own = way_in(room, root.path, mounts, lease);
                own->lock(Call(), tags).release();
            }) == 0);
            BOOST_TEST(fs::exists(file));
            BOOST_TEST(failure([&] { other->lock(Call::until(Clock::now()), tags); }) == "nothing thrown");
            // Of another host: after the lease, by one's own clock, whatever the times on the server say.
            spill(file, R"({"token":"x","sequence":1,"lease_ms":2000,"owner":{"host":"far","boot":)"
                        R"("11111111-2222-3333-4444-555555555555","space":"pid:[1]","pid":17,"start":1}})"
                        "\n");
            fs::last_write_time(file, fs::file_time_type::clock::now() + std::chrono::hours(5));
            BOOST_TEST(failure([&] { other->lock(Call::within(lease / 2), tags); }).starts_with("timeout; "));
            BOOST_TEST(failure([&] { other->lock(Call::within(seconds(30)), tags); }) == "nothing thrown");
            BOOST_TEST(!fs::exists(file));
            // Who has lost it is told before he changes anything.
            const auto held = one->lock(Call(), tags);
            fs::remove(file);
            BOOST_TEST(!held->is_held(Call()));
        }
    }
}

// A server that was away for longer than the lease let nobody take the lock; where it is gone all the same, that is seen.
BOOST_AUTO_TEST_CASE(a_lock_outlives_a_server_that_was_away)
{
    if (!can_serve("a_lock_outlives_a_server_that_was_away")) return;
    constexpr milliseconds lease(300);
    Room room;
    for (const bool is_taken : {false, true}) {
        Room::Root root = room.root();
        root.store->create(Call(), new_build("contoso", 1));
        const folder::Path tags = folder::Path() / "contoso" / "logs" / "1" / "tags";
        const auto own = way_in(room, root.path, false, lease);
        const std::string why = failure([&] {
            own->edit_file(Call::within(seconds(30)), tags, folder::Durable::yes, [&](std::string_view) {
                room.ganesha.freeze();
                std::this_thread::sleep_for(3 * lease);
                if (is_taken) fs::remove(root.logs() / "1/.tags.lease");
                room.ganesha.thaw();
                return std::string("mine\n");
            });
        });
        if (is_taken) BOOST_TEST(why.find(": its lock was taken away") != std::string::npos, why);
        else BOOST_TEST(why == "nothing thrown", why);
        BOOST_TEST(fs::exists(root.logs() / "1/tags") == !is_taken);
    }
}

// The number of an inode is given again: a lock that was taken away is known by what stands in it, or by its handle.
BOOST_AUTO_TEST_CASE(a_lock_is_not_taken_for_another_of_the_same_inode)
{
    if (!can_serve("a_lock_is_not_taken_for_another_of_the_same_inode")) return;
    Room room;
    Room::Root root = room.root();
    root.store->create(Call(), new_build("contoso", 1));
    const folder::Path build = folder::Path() / "contoso" / "logs" / "1";
    const fs::path file = root.logs() / "1/.tags.lease";
    for (const bool is_mounted : {true, false}) {
        BOOST_TEST_CONTEXT((is_mounted ? "by the folder" : "by the server")) {
            const auto own = way_in(room, root.path, is_mounted, seconds(3));
            const auto held = own->lock(Call::within(seconds(30)), build / "tags");
            BOOST_TEST(held->is_held(Call::within(seconds(30))));
            const std::string mine = slurp(file);
            const std::string others = "{\"token\":\"of another one\"" + std::string(mine.size() - 25, ' ');
            if (is_mounted) {
                // In the same file, which is the same to who looks at the number.
                std::ofstream(file, std::ios::in | std::ios::binary) << others;
            } else {
                // No inode's number is given again on request: this much, the number tells, too.
                spill(root.logs() / "1/.next", others);
                fs::rename(root.logs() / "1/.next", file);
            }
            BOOST_TEST(!held->is_held(Call::within(seconds(30))));
            // It is not written anew by who has lost it, either.
            std::this_thread::sleep_for(milliseconds(1500));
            BOOST_TEST(slurp(file) == others);
        }
        // Nor removed.
        BOOST_TEST(fs::exists(file));
        fs::remove(file);
    }
}

// Edits from all ways in at once: none is lost.
BOOST_AUTO_TEST_CASE(edits_of_one_file_exclude_each_other)
{
    if (!can_serve("edits_of_one_file_exclude_each_other")) return;
    constexpr int each = 10;
    Room room;
    Room::Root root = room.root();
    root.store->create(Call(), new_build("contoso", 1));
    BOOST_TEST(in_processes(4, [&](int number) {
        FolderStore own(way_in(room, root.path, number % 2 == 0, nfs::default_lease));
        for (int i = 0; i < each; ++i) {
            const std::string tag = std::to_string(number) + "-" + std::to_string(i);
            own.edit_tags(Call::within(seconds(60)), {"contoso", 1}, {&tag, 1}, {});
        }
    }) == 0);
    BOOST_TEST(root.store->tags(Call(), {"contoso", 1}).size() == 4u * each);
    BOOST_TEST(dotted(root.logs() / "1") == ".control build.json events.jsonl tags");
}

// A server that meets an entry which has gone while it reads the folder tells that as a fault of the folder.
BOOST_AUTO_TEST_CASE(a_folder_in_which_files_come_and_go_is_listed)
{
    if (!can_serve("a_folder_in_which_files_come_and_go_is_listed")) return;
    constexpr int files = 60;
    Room room;
    Room::Root root = room.root();
    const folder::Path busy = folder::Path() / "busy";
    fs::create_directories(root.path / "busy");
    for (int i = 0; i < files; ++i) spill(root.path / "busy" / std::to_string(i), "x");
    BOOST_TEST(in_processes(3, [&](int number) {
        const auto own = way_in(room, root.path, number == 2, nfs::default_lease);
        for (int round = 0; round < (is_full() ? 3000 : 300); ++round) {
            if (number == 0) {
                int seen = 0;
                own->read_dir(Call::within(seconds(60)), busy, [&](std::string_view name, folder::Kind) {
                    seen += name.find_first_not_of("0123456789") == name.npos ? 1 : 0;
                    return true;
                });
                expect(seen >= files - 2 && seen <= files, "seen: " + std::to_string(seen));
                continue;
            }
            const folder::Path file = busy / std::to_string((round * 2 + number) % files);
            own->replace_file(Call::within(seconds(60)), file, std::to_string(round), folder::Durable::no);
        }
    }) == 0);
    nfs::Options options;
    options.address = nfs::parse_address(room.ganesha.url(root.path));
    nfs::NfsFs after(options);
    fs::remove_all(root.path / "busy");
    BOOST_TEST(!after.read_dir(Call(), busy, [](std::string_view, folder::Kind) { return true; }));
}

// What the server refuses is told as what it is.
BOOST_AUTO_TEST_CASE(refusals_are_told)
{
    if (!can_serve("refusals_are_told")) return;
    Ganesha read_only(fast_place(), Ganesha::Access::read);
    fs::create_directories(read_only.exported / "contoso/logs/1");
    const auto open = [](Ganesha &ganesha, const fs::path &path) {
        nfs::Options options;
        options.address = nfs::parse_address(ganesha.url(path));
        return std::make_unique<FolderStore>(std::make_unique<nfs::NfsFs>(options));
    };
    const auto store = open(read_only, read_only.exported);
    BOOST_TEST(listed(*store, {"contoso", Scope::all, 0, 0}) == "1");
    BOOST_TEST(failure([&] { store->create(Call(), new_build("contoso", 2)); }).starts_with("denied; "));
    BOOST_TEST(failure([&] { store->archive(Call(), {"contoso", 1}); }).starts_with("denied; "));
    const std::string missing = failure([&] { open(read_only, "/nowhere")->teams(Call()); });
    const bool is_named = missing.find("; nfs://127.0.0.1/nowhere: ") != missing.npos;
    BOOST_TEST((is_named && (missing.starts_with("not_found;") || missing.starts_with("denied;"))), missing);
    Ganesha squashed(fast_place(), Ganesha::Access::write, "Root_Squash");
    fs::create_directories(squashed.exported / "contoso/logs/1");
    const auto other = open(squashed, squashed.exported);
    BOOST_TEST(listed(*other, {"contoso", Scope::all, 0, 0}) == "1");
    BOOST_TEST(failure([&] { other->create(Call(), new_build("contoso", 2)); }).starts_with("denied; "));
    // Nobody listens there.
    nfs::Options options;
    options.address = nfs::parse_address("nfs://127.0.0.1/export?nfsport=" + std::to_string(free_port()));
    options.patience.deadline = milliseconds(300);
    nfs::NfsFs nobody(options);
    const std::string why = failure([&] { nobody.look(Call(), folder::Path()); });
    BOOST_TEST(why.starts_with("timeout; nfs://127.0.0.1/export: has not answered"), why);
}

// A full server loses nothing, says so in one sentence, and goes on when there is room.
BOOST_AUTO_TEST_CASE(a_full_server_is_told_and_loses_nothing)
{
    if (!can_serve("a_full_server")) return;
    if (::geteuid() != 0 || in_processes(1, [](int) { own_mounts(); }) != 0) {
        std::fprintf(stderr, "SKIPPED: a_full_server: this process may not mount\n");
        return;
    }
    BOOST_TEST(in_processes(1, [](int) {
        own_mounts();
        Ganesha small(fast_place());
        small.end(SIGKILL);
        mount_small_disk(small.exported, "size=256k");
        small.start();
        for (const bool by_root : {false, true}) {
            const fs::path root = small.exported / (by_root ? "root" : "url"), logs = root / "contoso/logs";
            fs::create_directories(root);
            nfs::Options options;
            options.address = nfs::parse_address(small.url(root));
            FolderStore store(by_root ? std::unique_ptr<folder::Fs>(std::make_unique<nfs::MountedFs>(root.string()))
                                      : std::make_unique<nfs::NfsFs>(options));
            const std::string tag = "gold", other = "silver";
            const BuildName build{"contoso", store.create(Call(), new_build("contoso", 1)).runid};
            store.edit_tags(Call(), build, {&tag, 1}, {});
            std::ofstream filler(small.exported / "filler");
            for (const std::string piece(512, 'x'); filler.write(piece.data(), 512).flush();) {}
            const auto is_told = [](const std::string &why) {
                expect(why.starts_with("no_space; ") && why.find('\n') == why.npos, why);
            };
            is_told(failure([&] { store.create(Call(), new_build("contoso", 2)); }));
            is_told(failure([&] { store.edit_tags(Call(), build, {&other, 1}, {}); }));
            is_told(failure([&] { store.write_control(Call(), build, "stop", "now"); }));
            expect(store.tags(Call(), build) == std::vector<std::string>{"gold"}, "tags");
            expect(listed(store, {"contoso", Scope::all, 0, 0}) == "1", "list");
            expect(text_of(store, build, "events.jsonl") == "{}\n", "events");
            expect(dotted(logs / "1") == ".control build.json events.jsonl tags", dotted(logs / "1"));
            store.archive(Call(), build);
            expect(places(logs, 1) == "archive", places(logs, 1));
            fs::remove(small.exported / "filler");
            filler.close();
            store.restore(Call(), build);
            store.edit_tags(Call(), build, {&other, 1}, {});
            expect(store.tags(Call(), build).size() == 2u, "tags after");
            store.create(Call(), new_build("contoso", 2));
            expect(listed(store, {"contoso", Scope::all, 0, 0}) == "2 1", "list after");
        }
    }) == 0);
}
