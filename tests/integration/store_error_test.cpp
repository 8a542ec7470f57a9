// Each system call of every change that a store makes fails in turn, in each way in which a disk or a file server fails. The
// error is told, nothing is lost, no descriptor is; and the operation is then repeated and succeeds: by the process that was
// told, by another while that one lives, and behind a repair while it lives.
// Calls that change something also fail after they were executed, as those of a file server do whose answer was lost.
#define BOOST_TEST_MODULE store_error
#include "store/points.hpp"

#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>

using namespace support;

namespace {

/// How a call fails.
struct Failure {
    int error;
    const char *name;
    Fate fate;
    bool lasts = false;   ///< from there on every call fails
};

const Failure failures[] = {
    {EIO, "EIO", Fate::refused},       {ENOSPC, "ENOSPC", Fate::refused}, {EDQUOT, "EDQUOT", Fate::refused},
    {EINTR, "EINTR", Fate::refused},   {ESTALE, "ESTALE", Fate::refused}, {EACCES, "EACCES", Fate::refused},
    {ETIMEDOUT, "ETIMEDOUT", Fate::refused},
    {EIO, "EIO, executed", Fate::belied},
    {EIO, "EIO from then on", Fate::refused, true},
};

/// Who does it again.
enum class Again { itself, another, after_repair };

/// Fits the object, and is no lie: what is there is neither missing nor in the way.
void check_report(const Report &report, const Failure &failure, const Place &place)
{
    const std::string sentence = report.sentence;
    const std::string told = std::string(name(report.code)) + ", '" + sentence + "'";
    demand(report.end == Report::End::failed, "it threw something else: " + sentence);
    const std::set<Code> fitting = {code_of_errno(failure.error), Code::unavailable};
    demand(fitting.contains(report.code), "the code does not fit: " + told);
    const bool starts = sentence.starts_with("contoso") || sentence.starts_with("fabrikam") || sentence.starts_with(place.root().string());
    demand(starts && sentence.find(": ") != std::string::npos, "the sentence does not start with the object: " + told);
}

/// Copies on the way to another file system, which a next try would go on with.
size_t copies_in(const Place &place)
{
    size_t count = 0;
    for (const fs::directory_entry &entry : fs::recursive_directory_iterator(place.root(), fs::directory_options::follow_directory_symlink))
        if (entry.path().filename().string().starts_with(".mv-")) ++count;
    return count;
}

struct Tally {
    int points = 0, told = 0, went_well = 0;
};

/// False: the operation has fewer such calls. Adds the name of the call to `where`.
bool try_point(const Operation &operation, const Failure &failure, int point, Again again, std::string &where, Tally &tally)
{
    Trial trial(operation);
    const Reports reports;
    int calls = 0;
    const FileCall *hit = nullptr;
    auto process = run_traced(trial, operation, reports, Task::act, [&](const SystemCall &call) {
        const FileCall *const found = file_call(call);
        if (!found || (failure.fate == Fate::belied && !found->changes)) return Verdict{};
        ++calls;
        if (calls != point && !(failure.lasts && hit)) return Verdict{};
        if (!hit) where += std::string(" (") + found->name + ")";
        if (!hit) hit = found;
        // A descriptor is gone whatever close() says: to refuse that would be a leak of our own.
        return Verdict{call.number == SYS_close ? Fate::belied : failure.fate, failure.error};
    });
    if (!hit && point > 0) return false;
    ++tally.points;
    demand(process->is_held(), "it died");
    const int before = process->descriptors_before(), now = process->descriptors_now();
    demand(now == before, "it had " + std::to_string(before) + " descriptors before, and has " + std::to_string(now));
    const bool done = reports[0].end == Report::End::done;
    ++(done ? tally.went_well : tally.told);
    demand(done || point > 0, std::string("it fails by itself: ") + reports[0].sentence);
    if (!done) check_report(reports[0], failure, trial.place());
    demand(!done || !hit || !hit->makes_safe, "it went well, though nobody knows what is on the disk");
    if (hit && hit->makes_safe && !failure.lasts) demand(copies_in(trial.place()) == 0, "a copy stays, though nobody knows what of it is on the disk");
    trial.adopt(0);
    trial.verify(done ? Done::surely : Done::perhaps, Swept::no);
    if (done && operation.effect == Effect::creates) demand(trial.created() == reports[0].runid, "it named another id than that of the new build");
    if (again == Again::after_repair) {
        trial.examine(Owner::alive);
        trial.verify(done ? Done::surely : Done::perhaps, Swept::no);
    }
    trial.next_try();
    if (again == Again::itself) {
        demand(process->finish() == 0, "it died as it did it again");
        const bool was_gone = operation.effect == Effect::removes && reports[1].code == Code::not_found;
        demand(reports[1].end == Report::End::done || was_gone, std::string("cannot be repeated by itself: ") + reports[1].sentence);
        trial.adopt(1);
    } else {
        trial.repeat();
    }
    trial.verify(Done::surely, Swept::no);
    process.reset();
    trial.examine(Owner::gone);
    trial.verify(Done::surely, Swept::yes);
    trial.add_new();
    trial.verify(Done::surely, Swept::yes);
    return true;
}

void fail_every_call(const Operation &operation)
{
    if (!can_try("store_error", operation)) return;
    Wrongs wrongs;
    Tally tally;
    const auto at = [&](const Failure &failure, int point, int turn) {
        std::string name = std::string(failure.name) + " at call " + std::to_string(point);
        try {
            return try_point(operation, failure, point, static_cast<Again>(turn % 3), name, tally);
        } catch (const std::exception &e) {
            static constexpr const char *who[] = {"itself", "another", "repair"};
            wrongs.add(name + ", " + who[turn % 3], e.what());
        }
        return true;
    };
    at(failures[0], 0, 0);
    BOOST_TEST_REQUIRE(wrongs.count() == 0u, operation.name << ", and nothing fails: " << wrongs.first());
    // How many there are is found out by the first way to fail.
    int total = 0;
    {
        Trial trial(operation);
        const Reports reports;
        run_traced(trial, operation, reports, Task::act, [&](const SystemCall &call) { return total += file_call(call) != nullptr, Verdict{}; });
    }
    const Stride stride = Stride::of(total, 20);
    int turn = 0;
    for (const Failure &failure : failures) {
        ++turn;
        // Somewhat beyond: what fails early is tried again and so makes more calls than those that were counted.
        for (int point = stride.first, missed = 0; missed < 2 && !wrongs.too_many(); point += stride.step) missed = at(failure, point, point + turn) ? 0 : missed + 1;
    }
    std::printf("store error, %s: %d calls of the file system, every %d from %d, %d points: %d told, %d went well, %zu wrong\n", operation.name, total,
                stride.step, stride.first, tally.points, tally.told, tally.went_well, wrongs.count());
    wrongs.print();
    BOOST_TEST(total > 0);
    BOOST_TEST(wrongs.count() == 0u, operation.name << ": " << wrongs.count() << " points are wrong, the first: " << wrongs.first());
}

}  // namespace

BOOST_DATA_TEST_CASE(every_call_fails, boost::unit_test::data::make(operations), operation)
{
    fail_every_call(operation);
}
