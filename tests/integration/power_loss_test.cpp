// Power cuts. The store works on a real file system on disks that remember; then the disks are brought to what a cut at any
// moment could have left of them, mounted as after a start of the machine, and looked at: what had returned is there, every
// build is whole and in one place, and the store goes on.
//
// The short form takes a sample of the moments, the long one all. LITBUILD_TEST_SEED repeats a run's choice.
#define BOOST_TEST_MODULE power_loss
#include <sched.h>
#include <sys/syscall.h>

#include <cstdio>

#include <boost/test/unit_test.hpp>

#include <power/judge.hpp>
#include <power/mounted.hpp>
#include <power/replay.hpp>

// The test of the test: a store that forgets to sync.
namespace {
enum class Syncs { all, no_folders, none };
Syncs syncs = Syncs::all;

bool is_forgotten(int fd) noexcept
{
    struct stat found;
    return syncs == Syncs::none || (syncs == Syncs::no_folders && ::fstat(fd, &found) == 0 && S_ISDIR(found.st_mode));
}
}  // namespace

extern "C" int fsync(int fd) { return is_forgotten(fd) ? 0 : static_cast<int>(::syscall(SYS_fsync, fd)); }
extern "C" int fdatasync(int fd) { return is_forgotten(fd) ? 0 : static_cast<int>(::syscall(SYS_fdatasync, fd)); }

using namespace power;

namespace {

bool is_long()
{
    const char *text = ::getenv("LITBUILD_TEST_LONG");
    return text && *text;
}

uint64_t seed()
{
    const char *text = ::getenv("LITBUILD_TEST_SEED");
    static const uint64_t chosen = text && *text ? std::stoull(text) : std::random_device()();
    return chosen;
}

struct Setting {
    std::string type;               ///< of the file systems
    uint64_t size;                  ///< of each disk
    bool archive_elsewhere = false;   ///< the archive is a disk of its own
    Syncs syncs = Syncs::all;
    size_t most_images = 50;        ///< in the short form
};

/// A folder and mounts that only this process sees, and that go with it.
class Place {
public:
    Place()
    {
        must(::unshare(CLONE_NEWNS) == 0, "unshare");
        must(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "private mounts");
        char name[] = "/tmp/litbuild-power-XXXXXX";
        must(::mkdtemp(name) != nullptr, "mkdtemp");
        path = name;
        for (const char *folder : {"disks", "root"}) fs::create_directory(path / folder);
    }
    ~Place()
    {
        std::error_code error;
        for (const char *folder : {"disks", "root"}) fs::remove(path / folder, error);
        fs::remove(path, error);
    }
    Place(const Place &) = delete;
    Place &operator=(const Place &) = delete;
    fs::path path;
};

void make_file_system(const std::string &type, const fs::path &file)
{
    const std::string options = type == "ext4" ? "-q -F -E lazy_itable_init=0,lazy_journal_init=0 -J size=4" : "-q -f -K";
    must(std::system(("PATH=$PATH:/sbin:/usr/sbin mkfs." + type + " " + options + " " + file.string() + " >&2").c_str()) == 0, "mkfs." + type);
}

/// The root's disk, and the archive's in it.
class Roots {
public:
    Roots(const std::vector<int> &files, const Setting &setting, const fs::path &root)
    {
        mounts_.push_back(std::make_unique<Mounted>(files[0], setting.type, root));
        const fs::path archive = root / team / "logs/archive";
        if (files.size() < 2 || failure() != 0) return;
        fs::create_directories(archive);
        mounts_.push_back(std::make_unique<Mounted>(files[1], setting.type, archive));
    }
    ~Roots()
    {
        while (!mounts_.empty()) mounts_.pop_back();
    }
    Roots(const Roots &) = delete;
    Roots &operator=(const Roots &) = delete;
    int failure() const { return mounts_.back()->failure(); }

private:
    std::vector<std::unique_ptr<Mounted>> mounts_;
};

struct Result {
    size_t records = 0, flushes = 0, points = 0, images = 0, bad_images = 0;
    std::vector<std::string> wrongs;
};

struct Moment {
    uint64_t position;
    Unflushed kept;
    const char *what;
    bool operator<(const Moment &other) const { return position < other.position; }
};

/// Every moment at which a cut could make a difference.
std::vector<Moment> moments(const Disks &disks, const Plan &plan, const Outcomes &outcomes, uint64_t begin)
{
    std::vector<Moment> out;
    for (size_t lane = 0; lane < plan.size(); ++lane)
        for (size_t i = 0; i < plan[lane].size(); ++i)
            if (outcomes[lane][i].begun && !outcomes[lane][i].failed)
                for (const Unflushed kept : {Unflushed::none, Unflushed::all, Unflushed::some})
                    out.push_back({outcomes[lane][i].end, kept, "as an operation returned"});
    for (uint64_t at = begin; at < disks.position(); ++at) {
        if (disks.record(at).kind == Record::flush) {
            out.push_back({at, Unflushed::all, "at a flush"});
            out.push_back({at, Unflushed::some, "before a flush"});
            continue;
        }
        out.push_back({at, Unflushed::all, "before a write"});
        out.push_back({at, Unflushed::some, "before a write"});
    }
    std::stable_sort(out.begin(), out.end());
    return out;
}

Result lose_power(const Setting &setting, const Plan &plan)
{
    static const Place place;
    Result result;
    const fs::path root = place.path / "root";
    const Disks disks(place.path / "disks", std::vector<uint64_t>(setting.archive_elsewhere ? 2 : 1, setting.size));
    std::vector<Descriptor> files;
    std::vector<int> numbers;
    for (size_t i = 0; i < disks.count(); ++i) {
        make_file_system(setting.type, disks.path(i));
        files.emplace_back(::open(disks.path(i).c_str(), O_RDWR | O_CLOEXEC));
        numbers.push_back(files.back().get());
    }
    Outcomes outcomes(plan.size());
    std::unique_ptr<Replay> replay;
    {
        const Roots roots(numbers, setting, root);
        must(roots.failure() == 0, "mount a new " + setting.type);
        for (const fs::path &folder : {root, root / team / "logs/archive"}) fs::remove(folder / "lost+found");
        ::sync();
        replay = std::make_unique<Replay>(disks);
        syncs = setting.syncs;
        const std::string error = run_plan(root, disks, plan, outcomes);
        syncs = Syncs::all;
        if (!error.empty()) throw std::runtime_error(error);
    }
    if (disks.overflowed()) throw std::runtime_error("the log of the disks is full");
    const uint64_t begin = replay->position();
    result.records = disks.position() - begin;
    for (uint64_t i = begin; i < disks.position(); ++i) result.flushes += disks.record(i).kind == Record::flush;

    std::vector<Moment> all = moments(disks, plan, outcomes, begin);
    std::mt19937_64 random(seed());
    if (is_long()) {
        // More than one choice of what got through.
        std::vector<Moment> more;
        for (const Moment &moment : all) more.insert(more.end(), moment.kept == Unflushed::some ? 4 : 1, moment);
        all = more;
    }
    result.points = all.size();
    if (!is_long() && all.size() > setting.most_images) {
        std::vector<Moment> some;
        std::sample(all.begin(), all.end(), std::back_inserter(some), setting.most_images, random);
        all = some;
    }
    for (const Moment &moment : all) {
        replay->go(moment.position);
        const std::vector<Descriptor> cut = replay->cut(moment.kept, random);
        std::vector<int> images;
        for (const Descriptor &image : cut) images.push_back(image.get());
        const Roots roots(images, setting, root);
        std::vector<std::string> wrongs;
        if (roots.failure() != 0)
            wrongs.push_back(std::string("cannot be mounted: ") + std::strerror(roots.failure()));
        else
            wrongs = Judge(root, known_at(plan, outcomes, moment.position), highest_given(plan, outcomes, moment.position)).verdict();
        ++result.images;
        if (!wrongs.empty()) ++result.bad_images;
        for (const std::string &wrong : wrongs)
            result.wrongs.push_back("record " + std::to_string(moment.position - begin) + ", " + moment.what +
                                    (moment.kept == Unflushed::none ? ", nothing unflushed kept: " : moment.kept == Unflushed::all ? ", all kept: " : ", some kept: ") + wrong);
    }
    return result;
}

enum class Lanes { one = 1, three = 3 };

/// Three builds a lane that see everything.
Plan plan_of(Lanes lanes, bool can_remove)
{
    Plan plan(static_cast<size_t>(lanes));
    for (int lane = 0; lane < static_cast<int>(lanes); ++lane) {
        auto &ops = plan[static_cast<size_t>(lane)];
        const int a = lane * 10 + 1, b = a + 1, c = a + 2;
        ops = {{Act::create, a}, {Act::tag, a, "release"}, {Act::create, b}, {Act::fill, b}, {Act::archive, a},
               {Act::control, b, "stop.1"}, {Act::tag, b, "nightly"}, {Act::archive, b}, {Act::untag, b, "first"},
               {Act::create, c}, {Act::restore, b}, {Act::control, b, "stop.2"}, {Act::archive, c}, {Act::tag, b, "again"},
               {Act::archive, b}, {Act::restore, a}, {Act::untag, a, "release"}};
        if (can_remove) {
            // The highest run id of all is removed: it must not be given again.
            ops.push_back({Act::create, c + 1});
            ops.push_back({Act::archive, c + 1});
            ops.push_back({Act::remove, c + 1});
            ops.push_back({Act::remove, b});
        }
    }
    return plan;
}

void tell(const char *what, const Setting &setting, const Result &result)
{
    std::printf("%s, %s: %zu records, %zu flushes; %zu of %zu moments mounted, %zu with something wrong (seed %llu)\n", what,
                setting.type.c_str(), result.records, result.flushes, result.images, result.points, result.bad_images,
                static_cast<unsigned long long>(seed()));
    std::fflush(stdout);
}

bool can_run(const char *test, const std::string &type)
{
    const std::string why = obstacle(type);
    if (!why.empty()) std::printf("SKIPPED: %s: %s\n", test, why.c_str());
    return why.empty();
}

bool store_can_remove()
{
    char name[] = "/tmp/litbuild-power-XXXXXX";
    must(::mkdtemp(name) != nullptr, "mkdtemp");
    bool can = true;
    try {
        open_store(name)->remove(Call(), {team, 1});
    } catch (const Error &e) {
        can = e.code() != Code::unsupported;
    }
    fs::remove_all(name);
    return can;
}

void nothing_is_lost(const char *test, const Setting &setting, Lanes lanes)
{
    if (!can_run(test, setting.type)) return;
    const Result result = lose_power(setting, plan_of(lanes, store_can_remove()));
    tell(test, setting, result);
    for (size_t i = 0; i < result.wrongs.size() && i < 10; ++i) BOOST_ERROR(result.wrongs[i]);
    BOOST_TEST(result.bad_images == 0u);
    BOOST_TEST(result.images > 0u);
}

constexpr uint64_t megabyte = 1 << 20;
// mkfs.xfs makes none that are smaller than 300 MB.

}  // namespace

BOOST_AUTO_TEST_CASE(ext4_in_turn) { nothing_is_lost("ext4_in_turn", {.type = "ext4", .size = 32 * megabyte}, Lanes::one); }
BOOST_AUTO_TEST_CASE(ext4_at_once) { nothing_is_lost("ext4_at_once", {.type = "ext4", .size = 32 * megabyte}, Lanes::three); }
BOOST_AUTO_TEST_CASE(xfs_in_turn) { nothing_is_lost("xfs_in_turn", {.type = "xfs", .size = 300 * megabyte, .most_images = 20}, Lanes::one); }
BOOST_AUTO_TEST_CASE(ext4_archive_elsewhere_in_turn)
{
    nothing_is_lost("ext4_archive_elsewhere_in_turn", {.type = "ext4", .size = 32 * megabyte, .archive_elsewhere = true}, Lanes::one);
}
BOOST_AUTO_TEST_CASE(ext4_archive_elsewhere_at_once)
{
    nothing_is_lost("ext4_archive_elsewhere_at_once", {.type = "ext4", .size = 32 * megabyte, .archive_elsewhere = true}, Lanes::three);
}

// What a store does wrong must be seen, or the tests above say nothing.
BOOST_AUTO_TEST_CASE(a_store_that_does_not_sync_is_found_out)
{
    if (!can_run("a_store_that_does_not_sync_is_found_out", "ext4")) return;
    for (const bool elsewhere : {false, true})
        for (const Syncs forgotten : {Syncs::none, Syncs::no_folders}) {
            const Setting setting{.type = "ext4", .size = 32 * megabyte, .archive_elsewhere = elsewhere, .syncs = forgotten};
            const Result result = lose_power(setting, plan_of(Lanes::one, store_can_remove()));
            tell(forgotten == Syncs::none ? "no fsync" : "no fsync of folders", setting, result);
            BOOST_TEST(result.bad_images > 0u);
            if (!result.wrongs.empty()) std::printf("    such as: %s\n", result.wrongs.front().c_str());
        }
}
