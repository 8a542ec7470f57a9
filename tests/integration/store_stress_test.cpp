// Twenty processes over one root: create, archive, restore, remove, tag, read and list, at random and at once. A table that
// they share knows what must be: no run id is given twice, no build is lost or doubled, no tag that was acknowledged is lost,
// and a list of all shows every build that there was before it began and that nobody has removed before it ended, once.
//
// Seconds in the short form, ten minutes in the long one; LITBUILD_TEST_SECONDS says otherwise, LITBUILD_TEST_SEED repeats
// the choices (not how they meet).
#define BOOST_TEST_MODULE store_stress
#include <sched.h>

#include <cstdarg>
#include <cstdio>
#include <map>
#include <random>
#include <set>

#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>

#include <folder-store/folder_store.hpp>
#include <folder-store/posix_fs.hpp>

#include "helpers/model_support.hpp"
#include <power/disks.hpp>

using namespace litbuild;
using power::Shared;
using support::QuickRoot;
namespace fs = std::filesystem;

namespace {

constexpr int processes = 20;
constexpr const char *team = "contoso";
constexpr size_t most_builds = 4'000'000;

// What is known of a run id. Set by who does it: `made` after create has returned, `going` before remove is called,
// `gone` after it has returned.
struct Known {
    std::atomic<uint32_t> number;   ///< of the build; 0: none
    std::atomic<bool> made, going, gone;
};

struct Common {
    std::atomic<int64_t> highest;      ///< run id that was given
    std::atomic<uint32_t> numbers;     ///< of builds
    std::atomic<int64_t> population;   ///< builds that are not gone
    std::atomic<int> wrongs;
    std::atomic<uint64_t> done[8], errors[16];
    char sentences[20][400];
};

std::string uuid_of(uint32_t number)
{
    char text[48];
    std::snprintf(text, sizeof text, "%08x-0000-4000-8000-000000000000", number);
    return text;
}

std::string payload(uint32_t number)
{
    std::string out;
    while (out.size() < 5000) out += "build " + std::to_string(number) + "\n";
    return out;
}

std::unique_ptr<BuildStore> open_store(const fs::path &root)
{
    return std::make_unique<folder::FolderStore>(std::make_unique<folder::PosixFs>(root.string()));
}

std::string text_of(BuildStore &store, const BuildName &build, std::string_view name)
{
    std::string out;
    store.read(Call(), build, name, 0, 0, [&](std::string_view piece) {
        out += piece;
        return true;
    });
    return out;
}

class World {
public:
    explicit World(fs::path root) : root_(std::move(root)) {}

    const fs::path &root() const { return root_; }
    Common &common() const { return *common_.get(); }
    Known &known(int64_t runid) const { return known_[static_cast<size_t>(runid)]; }

    __attribute__((format(printf, 2, 3))) void wrong(const char *format, ...) const
    {
        const int at = common_->wrongs.fetch_add(1);
        if (at >= 20) return;
        va_list arguments;
        va_start(arguments, format);
        std::vsnprintf(common_->sentences[at], sizeof common_->sentences[at], format, arguments);
        va_end(arguments);
    }
    /// It was made, and nobody has begun to remove it.
    bool is_there(int64_t runid) const { return known(runid).made && !known(runid).going; }

private:
    fs::path root_;
    Shared<Common> common_;
    Shared<Known> known_{most_builds};
};

enum Action { create, move_out, move_back, remove_it, tag, look, list, page };
constexpr const char *action_names[] = {"create", "archive", "restore", "remove", "tag", "look", "list", "page"};

class Worker {
public:
    Worker(const World &world, int number, uint64_t seed, bool can_remove)
        : world_(world), number_(number), can_remove_(can_remove), random_(seed + static_cast<uint64_t>(number)), store_(open_store(world.root()))
    {
    }

    void work(Clock::time_point end)
    {
        while (Clock::now() < end && world_.common().wrongs < 20) {
            const Action action = choose();
            int64_t runid = 0;
            bool was_there = false;
            const bool had_none = world_.common().highest == 0;
            try {
                if (action != create && action != list && action != page) {
                    runid = some_build();
                    if (runid == 0) continue;
                    was_there = world_.is_there(runid);
                }
                act(action, runid);
            } catch (const Error &e) {
                judge(action, runid, was_there, had_none, e);
            }
            ++world_.common().done[action];
        }
        leave_tags();
    }

private:
    uint64_t dice(uint64_t sides) { return random_() % sides; }

    Action choose()
    {
        const uint64_t roll = dice(100);
        const bool crowded = world_.common().population > 1500;
        if (roll < 15) return crowded ? (can_remove_ ? remove_it : look) : create;
        if (roll < 35) return move_out;
        if (roll < 55) return move_back;
        if (roll < 58 && can_remove_) return remove_it;
        if (roll < 80) return tag;
        if (roll < 92) return look;
        return roll < 97 ? list : page;
    }

    // Mostly one of the newest few, so that many meet over it.
    int64_t some_build()
    {
        const int64_t highest = world_.common().highest;
        if (highest == 0) return 0;
        const uint64_t range = static_cast<uint64_t>(dice(4) == 0 ? highest : std::min<int64_t>(highest, 12));
        return highest - static_cast<int64_t>(dice(range));
    }

    void act(Action action, int64_t runid)
    {
        const BuildName build{team, runid};
        switch (action) {
        case create: return make();
        case move_out: check_entry(build, store_->archive(Call(), build), Place::archived); return;
        case move_back: check_entry(build, store_->restore(Call(), build), Place::live); return;
        case remove_it: return take_away(build);
        case tag: return edit(build);
        case look: return look_at(build);
        case list: return list_all();
        case page: return list_pages();
        }
    }

    enum class Place { live, archived };
    void check_entry(const BuildName &build, const Entry &entry, Place place)
    {
        if (entry.runid != build.runid || entry.archived != (place == Place::archived))
            world_.wrong("%s: moved, and the store says that it is elsewhere: %s", to_string(build).c_str(), entry.path.c_str());
    }

    void make()
    {
        const uint32_t number = ++world_.common().numbers;
        const std::string document = "{\"uuid\":\"" + uuid_of(number) + "\"}";
        const Entry entry = store_->create(Call(), {team, uuid_of(number), document, {{"data", payload(number)}}});
        Known &known = world_.known(entry.runid);
        uint32_t none = 0;
        if (!known.number.compare_exchange_strong(none, number))
            world_.wrong("%s/%ld: given to build %u and to build %u", team, static_cast<long>(entry.runid), none, number);
        known.made = true;
        ++world_.common().population;
        int64_t highest = world_.common().highest;
        while (highest < entry.runid && !world_.common().highest.compare_exchange_weak(highest, entry.runid)) {}
    }

    void take_away(const BuildName &build)
    {
        Known &known = world_.known(build.runid);
        // Not of what somebody else takes away: whose it is tells which error is right.
        if (!known.made || known.going) return;
        store_->archive(Call(), build);
        bool was = false;
        if (!known.going.compare_exchange_strong(was, true)) return;
        for (;;) {
            try {
                store_->remove(Call(), build);
                break;
            } catch (const Error &e) {
                // Somebody restores it all the time, or is at it now.
                if (e.code() != Code::refused && e.code() != Code::unavailable) throw;
                ++world_.common().errors[static_cast<size_t>(e.code())];
                try {
                    store_->archive(Call(), build);
                } catch (const Error &again) {
                    if (again.code() != Code::unavailable) throw;
                }
            }
        }
        known.gone = true;
        --world_.common().population;
    }

    std::set<std::string> tags_now(const BuildName &build)
    {
        std::set<std::string> out;
        for (const std::string &one : store_->tags(Call(), build))
            if (!out.insert(one).second) world_.wrong("%s: has the tag %s twice", to_string(build).c_str(), one.c_str());
        return out;
    }

    void edit(const BuildName &build)
    {
        // What nobody else adds or removes.
        std::set<std::string> &mine = tags_[build.runid];
        std::vector<std::string> add{"w" + std::to_string(number_) + "-" + std::to_string(++tags_made_)}, remove;
        if (mine.size() > 3 || (!mine.empty() && dice(3) == 0)) remove.push_back(*mine.begin());
        // Whether it was done is not known where it fails.
        std::set<std::string> before;
        before.swap(mine);
        doubtful_.insert(build.runid);
        store_->edit_tags(Call(), build, add, remove);
        doubtful_.erase(build.runid);
        mine = before;
        mine.insert(add.front());
        for (const std::string &gone : remove) mine.erase(gone);
        check_tags(build, mine);
    }

    void check_tags(const BuildName &build, const std::set<std::string> &mine)
    {
        const std::string start = "w" + std::to_string(number_) + "-";
        std::set<std::string> found;
        for (const std::string &one : tags_now(build))
            if (one.starts_with(start)) found.insert(one);
        if (found == mine || !world_.is_there(build.runid)) return;
        std::string text = to_string(build) + ": process " + std::to_string(number_) + " has set";
        for (const std::string &one : mine) text += " " + one;
        text += " and finds";
        for (const std::string &one : found) text += " " + one;
        world_.wrong("%s", text.c_str());
    }

    void look_at(const BuildName &build)
    {
        store_->find(Call(), build);
        const uint32_t number = world_.known(build.runid).number;
        if (number == 0) return;
        if (text_of(*store_, build, "data") != payload(number) && world_.is_there(build.runid))
            world_.wrong("%s: its data is not whole", to_string(build).c_str());
        if (const auto mine = tags_.find(build.runid); mine != tags_.end() && !doubtful_.contains(build.runid)) check_tags(build, mine->second);
    }

    std::vector<int64_t> all_there() const
    {
        std::vector<int64_t> out;
        for (int64_t id = world_.common().highest; id > 0; --id)
            if (world_.is_there(id)) out.push_back(id);
        return out;
    }

    void check_list(const char *what, const std::vector<int64_t> &there_before, const std::set<int64_t> &gone_before, const std::vector<int64_t> &listed)
    {
        for (size_t i = 1; i < listed.size(); ++i)
            if (listed[i] >= listed[i - 1]) world_.wrong("%s: shows %ld after %ld", what, static_cast<long>(listed[i]), static_cast<long>(listed[i - 1]));
        const std::set<int64_t> found(listed.begin(), listed.end());
        for (const int64_t id : there_before)
            if (!found.contains(id) && world_.is_there(id)) world_.wrong("%s: does not show %s/%ld, which was there all the time", what, team, static_cast<long>(id));
        for (const int64_t id : gone_before)
            if (found.contains(id)) world_.wrong("%s: shows %s/%ld, which was removed before", what, team, static_cast<long>(id));
    }

    std::set<int64_t> all_gone() const
    {
        std::set<int64_t> out;
        const int64_t highest = world_.common().highest;
        for (int64_t id = highest; id > std::max<int64_t>(0, highest - 1000); --id)
            if (world_.known(id).gone) out.insert(id);
        return out;
    }

    void list_all()
    {
        const std::vector<int64_t> before = all_there();
        const std::set<int64_t> gone = all_gone();
        std::vector<int64_t> listed;
        // One of the two lists alone may miss what is being moved.
        const uint64_t roll = dice(6);
        const Scope scope = roll == 0 ? Scope::live : roll == 1 ? Scope::archived : Scope::all;
        store_->list(Call(), {team, scope}, [&](const Entry &entry) {
            listed.push_back(entry.runid);
            return true;
        });
        check_list(scope == Scope::all ? "list of all" : "list of one", scope == Scope::all ? before : std::vector<int64_t>(), gone, listed);
    }

    void list_pages()
    {
        const std::vector<int64_t> before = all_there();
        const std::set<int64_t> gone = all_gone();
        std::vector<int64_t> listed;
        const uint64_t size = 1 + dice(400);
        for (size_t was = 1; was != listed.size();) {
            was = listed.size();
            store_->list(Call(), {team, Scope::all, listed.empty() ? 0 : listed.back(), size}, [&](const Entry &entry) {
                listed.push_back(entry.runid);
                return true;
            });
            if (listed.empty()) break;
        }
        check_list("list in pages", before, gone, listed);
    }

    // An error is right where the build was not there before, or is not any more; where there were no builds at all; and where
    // too many wanted it at once.
    void judge(Action action, int64_t runid, bool was_there, bool had_none, const Error &e)
    {
        ++world_.common().errors[static_cast<size_t>(e.code())];
        if (e.code() == Code::unavailable && (action == move_out || action == move_back || action == remove_it)) return;
        const bool is_missing = e.code() == Code::not_found && runid != 0 && (!was_there || !world_.is_there(runid));
        const bool no_team = e.code() == Code::not_found && had_none;
        if (is_missing || no_team) return;
        world_.wrong("%s: %s (%s)", action_names[action], e.what(), name(e.code()));
    }

    /// For the parent: what must be there in the end.
    void leave_tags() const
    {
        std::string text;
        for (const auto &[runid, mine] : tags_)
            for (const std::string &one : mine)
                if (!doubtful_.contains(runid)) text += std::to_string(runid) + " " + one + "\n";
        support::spill(world_.root() / ("tags-of-" + std::to_string(number_)), text);
    }

    const World &world_;
    int number_;
    bool can_remove_;
    std::mt19937_64 random_;
    std::unique_ptr<BuildStore> store_;
    uint64_t tags_made_ = 0;
    std::map<int64_t, std::set<std::string>> tags_;   ///< mine, by build
    std::set<int64_t> doubtful_;                      ///< builds at which an edit has failed
};

/// When all is quiet: the disk holds exactly what the table knows.
void look_at_all(const World &world)
{
    std::map<int64_t, std::set<std::string>> tags;
    for (int i = 0; i < processes; ++i) {
        std::ifstream in(world.root() / ("tags-of-" + std::to_string(i)));
        int64_t runid = 0;
        for (std::string one; in >> runid >> one;) tags[runid].insert(one);
    }
    const std::unique_ptr<BuildStore> store = open_store(world.root());
    std::set<int64_t> listed;
    store->list(Call(), {team, Scope::all}, [&](const Entry &entry) {
        if (!listed.insert(entry.runid).second) world.wrong("in the end: %ld is listed twice", static_cast<long>(entry.runid));
        return true;
    });
    for (int64_t id = 1; id <= world.common().highest; ++id) {
        const Known &known = world.known(id);
        const BuildName build{team, id};
        const bool live = fs::exists(world.root() / team / "logs" / std::to_string(id));
        const bool archived = fs::exists(world.root() / team / "logs/archive" / std::to_string(id));
        const bool wanted = known.made && !known.gone;
        if (listed.contains(id) != wanted) world.wrong("in the end: %ld %s", static_cast<long>(id), wanted ? "is lost" : "is listed, and should not be");
        if (live + archived != wanted) world.wrong("in the end: %ld is in %d places", static_cast<long>(id), live + archived);
        if (!wanted) continue;
        if (text_of(*store, build, "data") != payload(known.number)) world.wrong("in the end: %ld is not whole", static_cast<long>(id));
        const boost::json::value document = boost::json::parse(text_of(*store, build, "build.json"));
        if (document.at("uuid") != boost::json::value(uuid_of(known.number)) || document.at("runid") != id) world.wrong("in the end: %ld has the identity of another", static_cast<long>(id));
        std::set<std::string> found;
        for (const std::string &one : store->tags(Call(), build)) found.insert(one);
        for (const std::string &one : tags[id])
            if (!found.contains(one)) world.wrong("in the end: %ld has lost the tag %s", static_cast<long>(id), one.c_str());
    }
    for (const char *place : {"logs", "logs/archive"})
        for (const auto &entry : fs::directory_iterator(world.root() / team / place)) {
            const std::string name = entry.path().filename();
            for (const char *kind : {".new-", ".mv-", ".trash-", ".tmp-"})
                if (name.starts_with(kind)) world.wrong("in the end: %s is left", entry.path().c_str());
        }
}

int seconds_of_work()
{
    const char *text = ::getenv("LITBUILD_TEST_SECONDS");
    return text && *text ? std::atoi(text) : support::is_long() ? 600 : 8;
}

bool store_can(const fs::path &root, bool (*attempt)(BuildStore &, const BuildName &))
{
    const std::unique_ptr<BuildStore> store = open_store(root);
    try {
        return attempt(*store, {"probe", store->create(Call(), {"probe", uuid_of(1), "{}", {}}).runid});
    } catch (const Error &e) {
        return e.code() != Code::unsupported;
    }
}

bool can_remove(const fs::path &root)
{
    return store_can(root, [](BuildStore &store, const BuildName &build) {
        store.archive(Call(), build);
        store.remove(Call(), build);
        return true;
    });
}

void stress(const char *test, const fs::path &root)
{
    const char *text = ::getenv("LITBUILD_TEST_SEED");
    const uint64_t seed = text && *text ? std::stoull(text) : std::random_device()();
    const World world(root);
    const bool removes = can_remove(root);
    const Clock::time_point end = Clock::now() + std::chrono::seconds(seconds_of_work());
    std::vector<pid_t> children;
    for (int i = 0; i < processes; ++i) {
        const pid_t child = ::fork();
        BOOST_REQUIRE(child >= 0);
        if (child == 0) {
            try {
                Worker(world, i, seed, removes).work(end);
            } catch (const std::exception &e) {
                world.wrong("process %d: %s", i, e.what());
            }
            ::_exit(0);
        }
        children.push_back(child);
    }
    for (const pid_t child : children) {
        int status = 0;
        BOOST_REQUIRE(::waitpid(child, &status, 0) == child);
        BOOST_TEST(status == 0);
    }
    look_at_all(world);
    const Common &common = world.common();
    std::printf("%s: %d processes, %d s, %u builds made, %ld left, seed %llu;", test, processes, seconds_of_work(), common.numbers.load(),
                static_cast<long>(common.population), static_cast<unsigned long long>(seed));
    for (size_t i = 0; i < std::size(action_names); ++i) std::printf(" %llu %s", static_cast<unsigned long long>(common.done[i]), action_names[i]);
    for (size_t i = 0; i < std::size(common.errors); ++i)
        if (common.errors[i] > 0) std::printf("; %llu times %s", static_cast<unsigned long long>(common.errors[i]), name(static_cast<Code>(i)));
    std::printf("\n");
    for (int i = 0; i < std::min(20, common.wrongs.load()); ++i) BOOST_ERROR(common.sentences[i]);
    BOOST_TEST(common.wrongs == 0);
    BOOST_TEST(common.numbers > 0u);
}

}  // namespace

BOOST_AUTO_TEST_CASE(twenty_processes)
{
    const QuickRoot root;
    stress("twenty_processes", root.path());
}

// The same with an archive that is another file system: what is archived is copied, and a copy takes its time.
BOOST_AUTO_TEST_CASE(twenty_processes_and_an_archive_elsewhere)
{
    const QuickRoot root;
    const fs::path archive = root.path() / team / "logs/archive";
    const bool mounted = ::geteuid() == 0 && ::unshare(CLONE_NEWNS) == 0 && ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                         fs::create_directories(archive) && ::mount("none", archive.c_str(), "tmpfs", 0, "size=1g") == 0;
    if (!mounted) {
        std::printf("SKIPPED: twenty_processes_and_an_archive_elsewhere: this process may not mount\n");
        return;
    }
    stress("twenty_processes_and_an_archive_elsewhere", root.path());
    BOOST_TEST(::umount(archive.c_str()) == 0);
}
