// kill -9 at every system call of every change that a store makes: as the call is entered, and as it is left. After each, a
// fresh store finds each build in one place, whole; a repair puts the rest right, in half of the cases before the operation
// is repeated, in the other half after it.
// And twice: who repairs, or takes up what another has left, is killed as well.
#define BOOST_TEST_MODULE store_crash
#include "store/points.hpp"

#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>

using namespace support;

namespace {

struct Tried {
    int calls = 0;      ///< seen in the operation, if nobody was killed
    bool killed = false;
};

/// Adds the name of the call to `where`.
Tried try_point(const Operation &operation, Fate fate, int point, std::string &where)
{
    Trial trial(operation);
    const Reports reports;
    int calls = 0;
    {
        const auto process = run_traced(trial, operation, reports, Task::act, [&](const SystemCall &call) {
            if (++calls != point) return Verdict{};
            where += " (" + name_of_call(call) + ")";
            return Verdict{fate, 0};
        });
        demand(process->was_killed() || process->is_held(), "it died by itself");
        demand(process->was_killed() || reports[0].end == Report::End::done, std::string("it failed: ") + reports[0].sentence);
        if (!process->was_killed() && point > 0) return {calls, false};
    }
    const bool killed = point > 0;
    trial.adopt(0);
    trial.verify(killed ? Done::perhaps : Done::surely, Swept::no);
    if (fate == Fate::kills_before) {
        trial.examine(Owner::gone);
        trial.verify(Done::perhaps, Swept::yes);
    }
    trial.next_try();
    trial.repeat();
    trial.verify(Done::surely, Swept::no);
    if (fate == Fate::kills_after) trial.examine(Owner::gone);
    trial.verify(Done::surely, Swept::yes);
    trial.add_new();
    trial.verify(Done::surely, Swept::yes);
    return {calls, killed};
}

void kill_at_every_call(const Operation &operation)
{
    if (!can_try("store_crash", operation)) return;
    Wrongs wrongs;
    int total = 0, killed = 0;
    const char *const only = ::getenv("LITBUILD_KILL_POINT");
    const auto at = [&](Fate fate, int point) {
        std::string name = std::string(fate == Fate::kills_before ? "as it enters " : "as it leaves ") + "call " + std::to_string(point);
        try {
            const Tried tried = try_point(operation, fate, point, name);
            if (point == 0) total = tried.calls;
            killed += tried.killed;
            return tried.killed;
        } catch (const std::exception &e) {
            wrongs.add(name, e.what());
        }
        ++killed;
        return true;
    };
    at(Fate::kills_before, 0);
    BOOST_TEST_REQUIRE(wrongs.count() == 0u, operation.name << ", and nobody was killed: " << wrongs.first());
    const Stride stride = Stride::of(total, 60);
    for (const Fate fate : {Fate::kills_before, Fate::kills_after}) {
        if (only && *only) {
            at(fate, std::atoi(only));
            continue;
        }
        // Somewhat beyond, for the number of calls need not be the same each time.
        for (int point = stride.first, missed = 0; missed < 2 && !wrongs.too_many(); point += stride.step) missed = at(fate, point) ? 0 : missed + 1;
    }
    std::printf("store crash, %s: %d calls, every %d from %d, killed at %d points: %zu wrong\n", operation.name, total, stride.step, stride.first,
                killed, wrongs.count());
    wrongs.print();
    BOOST_TEST(total > 0);
    BOOST_TEST(wrongs.count() == 0u, operation.name << ": " << wrongs.count() << " points are wrong, the first: " << wrongs.first());
}

enum class Second { repairs, repeats };

struct Twice {
    bool first = false, second = false;   ///< was killed
};

/// One is killed behind its change number `first`, the next one at its call number `second`.
void try_twice(const Operation &operation, Second what, int first, int second, std::string &where, Twice &out)
{
    Trial trial(operation);
    const Reports reports;
    {
        int changes = 0;
        const auto process = run_traced(trial, operation, reports, Task::act, [&](const SystemCall &call) {
            const FileCall *const found = file_call(call);
            if (!found || !found->changes || call.number == SYS_close || ++changes != first) return Verdict{};
            where += std::string(" (") + found->name + ")";
            return Verdict{Fate::kills_after, 0};
        });
        out.first = process->was_killed();
        if (!out.first) return;
    }
    trial.adopt(0);
    trial.verify(Done::perhaps, Swept::no);
    {
        int calls = 0;
        const auto process = run_traced(trial, operation, reports, what == Second::repairs ? Task::repair : Task::again, [&](const SystemCall &call) {
            if (++calls != second) return Verdict{};
            where += " and " + name_of_call(call) + " of the second";
            return Verdict{Fate::kills_before, 0};
        });
        out.second = process->was_killed();
        demand(out.second || process->is_held(), "the second died by itself");
    }
    trial.verify(Done::perhaps, Swept::no);
    if (second % 2 == 0) {
        trial.examine(Owner::gone);
        trial.verify(Done::perhaps, Swept::yes);
    }
    trial.next_try();
    trial.repeat();
    trial.verify(Done::surely, Swept::no);
    trial.examine(Owner::gone);
    trial.verify(Done::surely, Swept::yes);
    trial.add_new();
    trial.verify(Done::surely, Swept::yes);
}

void kill_twice(const Operation &operation, Second what)
{
    if (!can_try("store_crash", operation)) return;
    Wrongs wrongs;
    int killed = 0, changes = 0;
    {
        Trial trial(operation);
        const Reports reports;
        run_traced(trial, operation, reports, Task::act, [&](const SystemCall &call) {
            const FileCall *const found = file_call(call);
            changes += found && found->changes && call.number != SYS_close;
            return Verdict{};
        });
    }
    const Stride outer = Stride::of(changes, 8);
    // All pairs of a long way would take days.
    const bool is_long_way = operation.effect == Effect::moves && operation.archive == Archive::elsewhere;
    const int inner = is_long_way ? (is_long() ? 53 : 199) : is_long() ? 1 : what == Second::repeats ? 7 : 31;
    for (int first = outer.first; first <= changes && !wrongs.too_many(); first += outer.step) {
        Twice tried{true, true};
        const int start = 1 + static_cast<int>(std::random_device()() % static_cast<unsigned>(inner));
        for (int second = start; tried.second && !wrongs.too_many(); second += inner) {
            tried = {};
            std::string where = "behind change " + std::to_string(first) + ", then at call " + std::to_string(second);
            try {
                try_twice(operation, what, first, second, where, tried);
            } catch (const std::exception &e) {
                wrongs.add(where, e.what());
            }
            killed += tried.second;
        }
    }
    std::printf("store crash, %s, and the one that %s: %d changes, every %d from %d, then every %d of its calls, killed twice at %d points: %zu wrong\n",
                operation.name, what == Second::repairs ? "repairs" : "repeats", changes, outer.step, outer.first, inner, killed, wrongs.count());
    wrongs.print();
    BOOST_TEST(killed > 0);
    BOOST_TEST(wrongs.count() == 0u, operation.name << ": " << wrongs.count() << " points are wrong, the first: " << wrongs.first());
}

}  // namespace

BOOST_DATA_TEST_CASE(killed_at_every_call, boost::unit_test::data::make(operations), operation)
{
    kill_at_every_call(operation);
}

BOOST_DATA_TEST_CASE(the_one_that_repairs_is_killed, boost::unit_test::data::make(operations), operation)
{
    kill_twice(operation, Second::repairs);
}

BOOST_DATA_TEST_CASE(the_one_that_repeats_is_killed, boost::unit_test::data::make(operations), operation)
{
    // Who makes a build again makes another one.
    if (operation.effect == Effect::creates) return;
    kill_twice(operation, Second::repeats);
}
