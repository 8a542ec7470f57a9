// Lists beside the truth: while four processes create, archive, restore and tag builds as fast as they can, every list must
// show each build as it was at some moment between the list's beginning and its end. Then the index is lost, damaged and of
// another version, which costs time and nothing else.
//
// Each build has one master among the four, who writes down how far he is before and after each thing he does to it; what a
// build looks like follows from how far that is. The long form makes 100,000 lists, the short one some for seconds.
#define BOOST_TEST_MODULE list_truth
#include <boost/test/unit_test.hpp>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <random>

#include <folder-store/folder_store.hpp>
#include <folder-store/posix_fs.hpp>

#include "helpers/model_support.hpp"
#include "segment.hpp"
#include "support.hpp"
#include <power/disks.hpp>

using namespace litbuild;
using namespace support;
using power::Shared;

namespace {

constexpr const char *team = "contoso";
constexpr int masters = 4, listers = 2;
constexpr int64_t most_builds = 800;

// Steps of a build's life: 0 it is not there; 1 it is; then tagged, archived, tagged, restored, and so on.
bool is_archived(uint64_t step) { return step % 4 == 3 || (step > 0 && step % 4 == 0); }
uint64_t tags_of(uint64_t step) { return step / 2; }

struct Build {
    std::atomic<uint64_t> begun, done;
};

struct Common {
    std::atomic<bool> enough;
    std::atomic<uint64_t> steps, lists, shown, by_index, wrongs;
    std::atomic<int64_t> highest;   ///< run id that may be there
    Build builds[most_builds + 1];
    char sentences[10][300];

    void wrong(const std::string &what)
    {
        const uint64_t at = wrongs++;
        if (at < 10) std::snprintf(sentences[at], sizeof sentences[at], "%s", what.c_str());
    }
};

std::string status_text(int64_t runid)
{
    return R"({"seq":3,"offset":9,"time":"2026-01-01T00:00:01Z","state":")" + std::string(runid % 3 == 0 ? "failed" : "complete") +
           R"(","created":"2026-01-01T00:00:00Z","started":"2026-01-01T00:00:00Z","ended":"2026-01-01T00:00:01Z","steps":[]})" "\n";
}

class Master {
public:
    Master(const fs::path &root, Common &common, int number)
        : engine_({.root = root}), store_(std::make_unique<folder::PosixFs>(root.string())), common_(common), random_(std::random_device()()),
          number_(number)
    {
    }

    void work()
    {
        while (!common_.enough) {
            if (mine_.size() < 150 || (mine_.size() < most_builds / masters && random_() % 400 == 0)) make();
            else go_on(mine_[random_() % mine_.size()]);
            ++common_.steps;
        }
    }

private:
    void make()
    {
        char uuid[48];
        std::snprintf(uuid, sizeof uuid, "%08x-0000-4000-8000-%012x", ++made_, static_cast<unsigned>(number_ + 1));
        // Which run id it will get nobody knows: until it is there, all may come.
        ++common_.highest;
        const Entry entry = store_.create(Call(), {team, uuid, "{}", {{"status.json", status_text(1)}, {"tags", "all,k0\n"}}});
        Build &build = common_.builds[entry.runid];
        build.begun = 1;
        build.done = 1;
        mine_.push_back(entry.runid);
    }
    void go_on(int64_t runid)
    {
        Build &build = common_.builds[runid];
        const uint64_t next = build.done + 1;
        build.begun = next;
        const litbuild::Build it = engine_.build(team, runid);
        if (tags_of(next) != tags_of(next - 1)) it.edit_tags({"k" + std::to_string(tags_of(next))}, {"k" + std::to_string(tags_of(next - 1))});
        else if (is_archived(next)) it.archive();
        else it.restore();
        build.done = next;
    }

    Engine engine_;
    folder::FolderStore store_;
    Common &common_;
    std::mt19937_64 random_;
    const int number_;
    unsigned made_ = 0;
    std::vector<int64_t> mine_;
};

class Lister {
public:
    Lister(const fs::path &root, Common &common) : engine_({.root = root}), common_(common), random_(std::random_device()()) {}

    void once()
    {
        std::vector<uint64_t> before(most_builds + 1), seen(most_builds + 1);
        for (int64_t id = 1; id <= most_builds; ++id) before[static_cast<size_t>(id)] = common_.builds[id].done;
        Filter filter;
        filter.scope = static_cast<Scope>(1 + random_() % 3);
        if (random_() % 2 == 0) filter.tag = "all";
        const std::vector<Summary> list = engine_.list(team, filter, Call::within(std::chrono::seconds(300)));
        for (const Summary &summary : list) check(summary, filter, before, seen);
        for (int64_t id = 1; id <= most_builds; ++id) {
            const auto at = static_cast<size_t>(id);
            if (before[at] == 0 || seen[at] > 0) continue;
            // It may be missing where it was elsewhere at some moment.
            bool may = false;
            for (uint64_t step = before[at]; step <= common_.builds[id].begun && !may; ++step) may = !is_in(filter.scope, step);
            if (!may) common_.wrong(std::to_string(id) + " is not shown, scope " + std::to_string(static_cast<int>(filter.scope)));
        }
        ++common_.lists;
        common_.shown += list.size();
    }

private:
    static bool is_in(Scope scope, uint64_t step)
    {
        return scope == Scope::all || (scope == Scope::archived) == is_archived(step);
    }

    void check(const Summary &summary, const Filter &filter, const std::vector<uint64_t> &before, std::vector<uint64_t> &seen)
    {
        const int64_t id = summary.name.runid;
        if (id < 1 || id > most_builds || id > common_.highest) return common_.wrong(std::to_string(id) + " was never made");
        const auto at = static_cast<size_t>(id);
        if (seen[at]++ > 0) return common_.wrong(std::to_string(id) + " is shown twice");
        const std::string tags = summary.tags.size() == 2 ? summary.tags[0] + "," + summary.tags[1] : "";
        const std::string path = summary.path.string();
        const bool is_path = path.ends_with(summary.archived ? "/logs/archive/" + std::to_string(id) : "/logs/" + std::to_string(id));
        // One that has just come: its master has not said so yet.
        const uint64_t first = std::max<uint64_t>(before[at], 1), last = std::max<uint64_t>(common_.builds[id].begun, 1);
        // Where it lies and what its tags are is found out at two moments.
        bool is_place = false, is_tags = false;
        for (uint64_t step = first; step <= last; ++step) {
            is_place = is_place || (is_archived(step) == summary.archived && is_in(filter.scope, step));
            is_tags = is_tags || tags == "all,k" + std::to_string(tags_of(step));
        }
        if (!is_place || !is_tags || !is_path || summary.status.state != State::complete)
            common_.wrong(std::to_string(id) + " is shown " + (summary.archived ? "archived" : "live") + " at " + path + " with the tags " + tags +
                          " and " + name(summary.status.state) + ", at the steps " + std::to_string(first) + " to " + std::to_string(last));
    }

    Engine engine_;
    Common &common_;
    std::mt19937_64 random_;
};

template <class Body>
pid_t in_child(Body body)
{
    const pid_t child = ::fork();
    if (child != 0) return child;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    try {
        body();
    } catch (const std::exception &e) {
        std::fprintf(stderr, "%s\n", e.what());
        ::_exit(1);
    }
    ::_exit(0);
}

bool is_whole(pid_t child)
{
    int status = 0;
    return ::waitpid(child, &status, 0) == child && status == 0;
}

/// A team of builds that have ended, every third tagged "third".
void make_team(const fs::path &root, int64_t count)
{
    for (int64_t id = 1; id <= count; ++id) {
        const fs::path build = root / team / "logs" / std::to_string(id);
        fs::create_directories(build);
        spill(build / "status.json", status_text(id));
        spill(build / "tags", id % 3 == 0 ? "nightly,third\n" : "nightly\n");
    }
}

std::string shown(const Engine &engine, const Filter &filter = {})
{
    std::string out;
    engine.list(team, filter, [&](const Row &row) {
        out += to_json(row.summary()) + "\n";
        return true;
    });
    return out;
}

fs::path index_of(const fs::path &root) { return root / team / "logs/.index"; }

}  // namespace

BOOST_AUTO_TEST_CASE(lists_show_what_is)
{
    const QuickRoot root;
    Shared<Common> common;
    std::vector<pid_t> working, listing;
    for (int i = 0; i < masters; ++i) working.push_back(in_child([&] { Master(root.path(), *common.get(), i).work(); }));
    eventually("builds to be listed", [&] { return common->highest >= 600; });
    const uint64_t count = is_long() ? 100'000 : UINT64_MAX;
    const Clock::time_point enough = Clock::now() + std::chrono::seconds(is_long() ? 7200 : 6);
    constexpr uint64_t fewest = 40;
    for (int i = 0; i < listers; ++i)
        listing.push_back(in_child([&] {
            Lister lister(root.path(), *common.get());
            while (common->lists < count && common->wrongs == 0 && (common->lists < fewest || Clock::now() < enough)) lister.once();
        }));
    for (const pid_t child : listing) BOOST_TEST(is_whole(child));
    common->enough = true;
    for (const pid_t child : working) BOOST_TEST(is_whole(child));
    size_t segments = 0, marks = 0;
    for (const auto &item : fs::directory_iterator(index_of(root.path()))) {
        segments += item.path().filename().string().starts_with("seg-");
        marks += item.path().filename().string().starts_with("mark-");
    }
    std::printf("lists_show_what_is: %llu lists of %llu builds in all, beside %llu steps of %lld builds; %zu marks are left\n",
                static_cast<unsigned long long>(common->lists), static_cast<unsigned long long>(common->shown),
                static_cast<unsigned long long>(common->steps), static_cast<long long>(common->highest), marks);
    for (uint64_t i = 0; i < std::min<uint64_t>(10, common->wrongs); ++i) BOOST_ERROR(common->sentences[i]);
    BOOST_TEST(common->lists >= fewest);
    BOOST_TEST(segments > 0u);
    // When all is quiet, too, and without the index it is the same.
    const Engine engine({.root = root.path()});
    const std::string last = shown(engine, {.scope = Scope::all});
    fs::remove_all(index_of(root.path()));
    BOOST_TEST((shown(engine, {.scope = Scope::all}) == last));
}

BOOST_AUTO_TEST_CASE(an_index_that_is_lost_or_damaged_costs_time_alone)
{
    const QuickRoot root;
    make_team(root.path(), 1500);
    const Engine engine({.root = root.path()});
    const std::string all = shown(engine);
    const fs::path segment = index_of(root.path()) / "seg-0", names = index_of(root.path()) / "names-1";
    BOOST_TEST(fs::exists(segment));
    BOOST_TEST((shown(engine) == all));
    const std::string third = shown(engine, {.tag = "third"}), failed = shown(engine, {.state = State::failed, .limit = 7});
    // The lists were changed just now; later their version is known.
    eventually("a note of the names", [&] { return shown(engine) == all && fs::exists(names); });
    BOOST_TEST((shown(engine) == all));

    const std::string good = slurp(segment), good_names = slurp(names);
    const auto is_right = [&](const char *what) {
        BOOST_TEST_CONTEXT(what) {
            BOOST_TEST((shown(engine) == all));
            BOOST_TEST((shown(engine, {.tag = "third"}) == third));
            BOOST_TEST((shown(engine, {.state = State::failed, .limit = 7}) == failed));
            BOOST_TEST((shown(engine) == all));
        }
    };
    std::mt19937_64 random(1);
    for (int i = 0; i < (is_long() ? 2000 : 60); ++i) {
        for (const fs::path &note : {segment, names}) {
            std::string bad = note == segment ? good : good_names;
            switch (random() % 4) {
            case 0: bad.resize(random() % bad.size()); break;
            case 1: bad[random() % bad.size()] ^= static_cast<char>(1 << random() % 8); break;
            case 2: bad[7] = 9; break;   // another version
            default: bad.clear();
            }
            spill(note, bad);
        }
        is_right("damaged");
    }
    spill(segment, "");
    is_right("of no length");
    BOOST_TEST(fs::file_size(segment) > 100'000u);
    fs::remove_all(index_of(root.path()));
    is_right("lost");
    BOOST_TEST(fs::exists(segment));
    fs::remove_all(index_of(root.path()));
    fs::create_symlink("/nowhere", index_of(root.path()));
    is_right("a link in its place");
    fs::remove(index_of(root.path()));

    // By a hostile hand, but under a right checksum.
    std::vector<std::string> records;
    for (int i = 0; i < 200; ++i) {
        std::string record = detail::Record::text_of({{team, 1500 - i}, {}, false, {"x"}, {}});
        const auto size = static_cast<uint32_t>(record.size());
        for (int bits = 0; bits < 3; ++bits) record[4 + random() % (record.size() - 4)] ^= static_cast<char>(1 << random() % 8);
        std::memcpy(record.data(), &size, sizeof size);
        records.push_back(record);
    }
    fs::create_directories(index_of(root.path()));
    uint64_t source = 0;
    std::memcpy(&source, good.data() + 32, sizeof source);
    spill(segment, detail::Segment::note_of(std::vector<std::string_view>(records.begin(), records.end()), source));
    engine.list(team, {}, [](const Row &row) { return row.step() || !row.tags().empty() || true; });
    (void)shown(engine);
    (void)shown(engine, {.tag = "third"});
    // Its head is right and its tags are not: they are read then.
    std::string record = detail::Record::text_of({{team, 1500}, {}, false, {"x"}, {}});
    record[record.find('x') - 4] = 99;
    spill(segment, detail::Segment::note_of({record}, source));
    engine.list(team, {}, [&](const Row &row) {
        BOOST_TEST(row.tags() == std::vector<std::string_view>({"nightly", "third"}));
        return false;
    });
    fs::remove_all(index_of(root.path()));
    is_right("afterwards");
}

BOOST_AUTO_TEST_CASE(what_an_index_says_is_what_a_build_says)
{
    const QuickRoot root;
    make_team(root.path(), 600);
    const Engine engine({.root = root.path()});
    spill(root.path() / team / "logs/77/status.json",
          R"({"seq":9,"offset":1,"time":"2026-02-01T00:00:01Z","state":"stopped","created":"2026-02-01T00:00:00Z","started":"2026-02-01T00:00:00Z",)"
          R"("ended":"2026-02-01T00:00:01Z","signal":15,"exit":null,"error":"e\u00e4","stopped_by":"me@here","reason":"r","message":"m","progress":0.25,)"
          R"("steps":[{"name":"a","state":"complete","exit":0,"started":"2026-02-01T00:00:00Z","ended":"2026-02-01T00:00:01Z","progress":1.0},)"
          R"({"name":"b","parent":0,"state":"stopped","signal":9}],"cpu_ms":7})" "\n");
    const std::string read = shown(engine);
    std::string note = slurp(index_of(root.path()) / "seg-0");
    uint64_t source = 0;
    std::memcpy(&source, note.data() + 32, sizeof source);
    detail::Segment segment(std::move(note), source);
    std::string recorded;
    while (const auto record = segment.next()) {
        Summary summary{{team, record->runid()}, root.path() / team / "logs" / std::to_string(record->runid()), false, {}, {}};
        record->fill(summary);
        recorded += to_json(summary) + "\n";
    }
    BOOST_TEST((recorded == read));
    engine.list(team, {}, [&](const Row &row) {
        const Summary summary = row.summary();
        BOOST_TEST((row.runid() == summary.name.runid && row.archived() == summary.archived && row.path() == summary.path));
        BOOST_TEST((std::vector<std::string>(row.tags().begin(), row.tags().end()) == summary.tags));
        BOOST_TEST((row.state() == summary.status.state && row.time() == summary.status.time && row.created() == summary.status.created));
        BOOST_TEST((row.started() == summary.status.started && row.ended() == summary.status.ended));
        BOOST_TEST((row.progress() == summary.status.progress && row.step() == summary.status.step()));
        return true;
    });
    BOOST_TEST(engine.list(team, {.tag = "third", .limit = 5}).size() == 5u);
    BOOST_TEST(engine.list(team, {.since = now()}).empty());
    BOOST_TEST(engine.list(team, {.since = 1}).size() == 600u);

    // Who edits tags marks the build, so that it is read; at last the marks go.
    const auto marks = [&] {
        size_t count = 0;
        for (const auto &item : fs::directory_iterator(index_of(root.path()))) count += item.path().filename().string().starts_with("mark-");
        return count;
    };
    for (int i = 1; i <= 40; ++i) {
        engine.build(team, 3).edit_tags({"n" + std::to_string(i)}, {"n" + std::to_string(i - 1)});
        BOOST_TEST(engine.list(team, {.tag = "n" + std::to_string(i)}).size() == 1u);
    }
    BOOST_TEST(marks() < 32u);

    // Who edits them by hand leaves none.
    spill(root.path() / team / "logs/5/tags", "by-hand\n");
    eventually("what was edited by hand", [&] { return engine.list(team, {.tag = "by-hand"}).size() == 1u; });
    spill(root.path() / team / "logs/6/tags", "by-hand\n");
    engine.examine(team, Repair::yes);
    BOOST_TEST(engine.list(team, {.tag = "by-hand"}).size() == 2u);
    BOOST_TEST(engine.list(team, {.limit = 600}).size() == 600u);
}

BOOST_AUTO_TEST_CASE(a_list_that_the_deadline_ends_is_told_as_far_as_it_came)
{
    const QuickRoot root;
    make_team(root.path(), 3000);
    const Engine engine({.root = root.path()});
    uint64_t told = 0;
    const Call call = Call::within(std::chrono::seconds(5));
    const Listed listed = engine.list(
        team, {}, [&](const Row &row) {
            BOOST_TEST(row.runid() == 3000 - static_cast<int64_t>(told++));
            while (told == 10 && !call.expired()) std::this_thread::sleep_for(std::chrono::milliseconds(10));
            return true;
        },
        call);
    BOOST_TEST(!listed.complete);
    BOOST_TEST(listed.count == told);
    BOOST_TEST(told < 3000u);
    const Listed whole = engine.list(team, {}, [](const Row &) { return true; });
    BOOST_TEST(whole.complete);
    BOOST_TEST(whole.count == 3000u);
    BOOST_TEST(engine.list(team, {}, [](const Row &) { return false; }).count == 1u);
}
