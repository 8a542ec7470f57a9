// Limits of calls, and what was added to the contract since 1.0.
#include <thread>

#include "checks.hpp"
#include "crowd.hpp"
#include "store.hpp"

namespace litbuild::conformance {

using namespace std::chrono_literals;

namespace {

void cancelled_before(Context &context)
{
    const Store store(context);
    const BuildName build = store.made(fresh_team(), {{"log", std::string(100'000, 'x')}});
    Canceller canceller;
    canceller.cancel();
    Call call;
    call.cancelled_by(canceller);
    expect_code(store.find(build, call), {LB_OK, LB_CANCELLED});
    expect_code(store.list(build.team, Scope::live, 0, 0, SIZE_MAX, call), {LB_OK, LB_CANCELLED});
    expect_code(store.read(build, "log", 0, 0, SIZE_MAX, call), {LB_OK, LB_CANCELLED});
    const Told<Entry> made = store.create(new_build(build.team), call);
    expect_code(made, {LB_OK, LB_CANCELLED});
    const Told<Entry> moved = store.archive(build, call);
    expect_code(moved, {LB_OK, LB_CANCELLED, LB_UNSUPPORTED});
    const Told<Entry> there = store.find(build);
    expect_ok(there);
    expect(there.value.archived == moved.ok(), moved.what + ", cancelled: said " + described(moved) + ", but the build is " +
                                                   (there.value.archived ? "archived" : "in the main list"));
    const std::string expected = made.ok() ? "2" : "1";
    expect_same("number of builds after lb_store.create, cancelled, said " + described(made), expected,
                std::to_string(store.list(build.team, Scope::all).value.size()));
}

void past_its_deadline(Context &context)
{
    const Store store(context);
    const BuildName build = store.made(fresh_team(), {{"log", std::string(100'000, 'x')}});
    const Call call = Call::until(Clock::now() - 1s);
    expect_code(store.find(build, call), {LB_OK, LB_TIMEOUT});
    expect_code(store.list(build.team, Scope::live, 0, 0, SIZE_MAX, call), {LB_OK, LB_TIMEOUT});
    expect_code(store.read(build, "log", 0, 0, SIZE_MAX, call), {LB_OK, LB_TIMEOUT});
    expect_code(store.create(new_build(build.team), call), {LB_OK, LB_TIMEOUT});
    expect_code(store.write_control(build, "stop", "x", call), {LB_OK, LB_TIMEOUT, LB_UNSUPPORTED});
}

void examine(Context &context)
{
    const Store store(context);
    const BuildName build = store.made(fresh_team(), {{"log", "a line\n"}});
    const std::string before = store.listed(build.team, Scope::all);
    expect_ok(store.examine(build.team, LB_REPAIR_NO));
    const Told<std::vector<Finding>> found = store.examine(build.team, LB_REPAIR_YES);
    expect_ok(found);
    for (const Finding &finding : found.value)
        expect(!finding.kind.empty() && !finding.text.empty(), found.what + ": told a finding without a kind or a text");
    expect_same("builds of a sound team after a repair", before, store.listed(build.team, Scope::all));
    expect_same("log of a sound build after a repair", quote("a line\n"), quote(store.text(build, "log")));
    expect_code(store.examine(fresh_team(), LB_REPAIR_NO), {LB_NOT_FOUND});
}

void need_watch(const Store &store)
{
    if (!store.instance().table().watch) skip("lb_store.watch is not there");
    store.need_parallel();
}

void watch_tells(Context &context)
{
    const Store store(context);
    need_watch(store);
    const BuildName build = store.made(fresh_team());
    int64_t made = 0;
    bool told_created = false, told_archived = false, archives = true;
    std::string order;
    std::exception_ptr thrown;
    const Told<std::vector<lb_change>> told = store.watch(
        build.team,
        [&](const lb_change &change) {
            if (change.kind == LB_CHANGE_WATCHING && made == 0) {
                // From another thread, as anybody else would.
                std::thread([&] {
                    try {
                        made = store.made(build.team).runid;
                        archives = store.archive(build).code != LB_UNSUPPORTED;
                    } catch (...) {
                        thrown = std::current_exception();
                    }
                }).join();
                if (thrown) return false;
            } else if (made == 0) {
                order = "kind " + std::to_string(change.kind) + " came first";
            }
            told_created |= change.kind == LB_CHANGE_CREATED && change.runid == made;
            told_archived |= change.kind == LB_CHANGE_ARCHIVED && change.runid == build.runid;
            return !(told_created && (told_archived || !archives));
        },
        {});
    if (thrown) std::rethrow_exception(thrown);
    skip_unsupported(told);
    expect(order.empty(),
           told.what + ": " + order + "; the first change is LB_CHANGE_WATCHING, from which on nothing is missed");
    expect_ok(told);
}

void watch_ends(Context &context)
{
    const Store store(context);
    need_watch(store);
    const BuildName build = store.made(fresh_team());
    const auto all = [](const lb_change &) { return true; };
    expect_ok(store.watch(build.team, all, Call::within(500ms)));
    Canceller canceller;
    Call call;
    call.cancelled_by(canceller);
    std::jthread cancelling;
    const Told<std::vector<lb_change>> told = store.watch(
        build.team,
        [&](const lb_change &) {
            if (!cancelling.joinable()) cancelling = std::jthread([&] { canceller.cancel(); });
            return true;
        },
        call);
    expect_code(told, {LB_CANCELLED, LB_OK});
    expect_code(store.watch(fresh_team(), all, Call::within(5s)), {LB_NOT_FOUND});
}

void age(Context &context)
{
    const Store store(context);
    const BuildName build = store.made(fresh_team(), {{"log", "a line\n"}});
    const Told<int64_t> told = store.age(build, "log");
    if (told.code == LB_DENIED) skip(told.sentence);
    expect_ok(told);
    expect(told.value >= 0 && told.value < 3'600'000'000'000,
           told.what + ", just written: told " + std::to_string(told.value) +
               " ns; it is never negative, and by the clock of where it is kept");
    expect_code(store.age(build, "no-such-file"), {LB_NOT_FOUND});
}

constexpr Check checks[] = {
    {"store.cancelled", "A cancelled call is LB_CANCELLED and has done nothing, or is done.", "lb_call.cancelled",
     cancelled_before},
    {"store.past-its-deadline", "A call past its deadline is LB_TIMEOUT, or is done.", "lb_call.deadline_ns",
     past_its_deadline},
    {"store.examine", "An examination changes nothing of a sound team.", "lb_store.examine", examine},
    {"store.watch-tells", "A watch tells what happens once it has told LB_CHANGE_WATCHING.", "lb_store.watch", watch_tells},
    {"store.watch-ends", "A watch ends at its deadline with LB_OK, and when it is cancelled.", "lb_store.watch", watch_ends},
    {"store.age", "The age of a file is by the clock of where it is kept, and never negative.", "lb_store.age", age},
};

}  // namespace

std::span<const Check> store_later_checks() { return checks; }

}  // namespace litbuild::conformance
