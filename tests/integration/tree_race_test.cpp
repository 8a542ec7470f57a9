// A race over the tree: while every operation of the store runs, somebody swaps every folder and file below the root for
// links that lead outside, for pipes, sockets and devices, and back. Nothing outside may be read, written or removed, and
// nothing may hang. Both ways of resolving a path are tried: by the kernel at once, and component by component.
//
// The long form runs each operation 100,000 times in each way, the short one for seconds. LITBUILD_TEST_COUNT and
// LITBUILD_TEST_SEED say otherwise.
#define BOOST_TEST_MODULE tree_race
#include <set>

#include <cstdarg>
#include <cstdio>

#include <boost/test/unit_test.hpp>

#include <folder-store/folder_store.hpp>
#include <folder-store/posix_fs.hpp>

#include "helpers/model_support.hpp"
#include <power/hostile.hpp>

// The test of the test: a store that follows links.
namespace {
bool careless = false;
}
extern "C" int openat(int dir, const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    const unsigned mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, unsigned) : 0;
    va_end(arguments);
    return static_cast<int>(::syscall(SYS_openat, dir, path, careless ? flags & ~O_NOFOLLOW : flags, mode));
}

using namespace litbuild;
using namespace power;
using folder::Resolve;
using support::QuickRoot;

namespace {

constexpr const char *team = "contoso";

enum Action { create, move_out, move_back, remove_it, tag, control, look, read_file, list_builds, list_teams, examine };
constexpr const char *action_names[] = {"create", "archive", "restore", "remove", "tag", "control", "find", "read", "list", "teams", "examine"};
constexpr size_t actions = std::size(action_names);

struct Common {
    std::atomic<bool> enough;
    std::atomic<uint64_t> done[actions], failed[actions], codes[16], swaps;
    std::atomic<uint64_t> beats;   ///< grows while anything is done
    std::atomic<int> wrongs;
    char sentences[10][400];

    void wrong(const std::string &what)
    {
        const int at = wrongs.fetch_add(1);
        if (at < 10) std::snprintf(sentences[at], sizeof sentences[at], "%s", what.c_str());
    }
};

class Victim {
public:
    Victim(const fs::path &root, Resolve resolve, Common &common, uint64_t seed)
        : common_(common), random_(seed), store_(std::make_unique<folder::PosixFs>(root.string(), resolve))
    {
    }

    void once(Action action)
    {
        try {
            act(action);
            ++common_.done[action];
        } catch (const Error &e) {
            ++common_.failed[action];
            ++common_.codes[static_cast<size_t>(e.code())];
            if (std::string(e.what()).find(secret) != std::string::npos) common_.wrong(std::string("an error tells what is outside: ") + e.what());
            if (e.code() == Code::internal) common_.wrong(std::string(action_names[action]) + ": " + e.what());
        }
        ++common_.beats;
    }

private:
    BuildName some_build()
    {
        const uint64_t roll = random_() % (native_builds + 1);
        return {team, roll == 0 ? foreign_build : static_cast<int64_t>(roll)};
    }

    void must_be_ours(const Entry &entry)
    {
        if (entry.runid == foreign_build) common_.wrong(std::to_string(foreign_build) + " is outside, and was found");
    }
    void must_be_ours(Action action, const BuildName &build)
    {
        if (build.runid == foreign_build) common_.wrong(to_string(build) + " is outside, and was changed: " + action_names[action]);
    }

    void act(Action action)
    {
        const BuildName build = some_build();
        const std::vector<std::string> word{"t" + std::to_string(random_() % 5)};
        constexpr const char *files[] = {"build.json", "events.jsonl", "status.json", "log", "tags", "out/asset", ".control/token"};
        const Call call;
        switch (action) {
        case create: {
            char uuid[48];
            std::snprintf(uuid, sizeof uuid, "%08x-0000-4000-8000-%012x", static_cast<unsigned>(random_()), static_cast<unsigned>(random_()));
            must_be_ours(store_.create(call, {team, uuid, "{}", {{"events.jsonl", "own"}, {"tags", "own"}}}));
            return;
        }
        case move_out: return must_be_ours(store_.archive(call, build));
        case move_back: return must_be_ours(store_.restore(call, build));
        case remove_it:
            store_.remove(call, build);
            return must_be_ours(action, build);
        case tag:
            store_.edit_tags(call, build, word, std::vector<std::string>{"t" + std::to_string(random_() % 5)});
            must_be_ours(action, build);
            for (const std::string &one : store_.tags(call, build))
                if (one.find(secret) != std::string::npos) common_.wrong(to_string(build) + ": has a tag from outside");
            return;
        case control:
            store_.write_control(call, build, "stop.1", "own");
            return must_be_ours(action, build);
        case look: return must_be_ours(store_.find(call, build));
        case read_file: {
            std::string text;
            store_.read(call, build, files[random_() % std::size(files)], 0, 4096, [&](std::string_view piece) {
                text += piece;
                return true;
            });
            if (text.find(secret) != std::string::npos) common_.wrong(to_string(build) + ": what is outside was read");
            if (text.find('\0') != std::string::npos) common_.wrong(to_string(build) + ": a device was read");
            return;
        }
        case list_builds:
            store_.list(call, {team, static_cast<Scope>(1 + random_() % 3)}, [&](const Entry &entry) {
                must_be_ours(entry);
                return true;
            });
            return;
        case list_teams:
            for (const std::string &one : store_.teams(call))
                if (one != team) common_.wrong("there is a team " + one);
            return;
        case examine: store_.examine(call, team, Repair::yes, [](const Finding &) { return true; }); return;
        }
    }

    Common &common_;
    std::mt19937_64 random_;
    folder::FolderStore store_;
};

class Race {
public:
    Race()
    {
        for (const char *folder : {"root", "outside", "lair"}) fs::create_directory(place_.path() / folder);
        make_outside(place_.path() / "outside" / team);
    }

    /// Until each operation was tried `count` times in each way, or until the time is over (0: it never is).
    void run(std::vector<Resolve> ways, uint64_t count, std::chrono::milliseconds time, uint64_t seed)
    {
        const auto before = portrait(place_.path() / "outside");
        std::vector<pid_t> children{in_child([&] {
            Hostile hostile(place_.path() / "root", place_.path() / "outside", place_.path() / "lair", team, seed);
            while (!common_->enough) {
                hostile.step();
                common_->swaps = hostile.swaps();
            }
        })};
        while (common_->swaps == 0) ::usleep(1000);
        for (const Resolve way : ways)
            children.push_back(in_child([&] {
                Victim victim(place_.path() / "root", way, *common_.get(), ++seed);
                const Clock::time_point end = Clock::now() + time;
                for (uint64_t i = 0; i < count && common_->wrongs == 0 && (time.count() == 0 || Clock::now() < end); ++i)
                    for (size_t action = 0; action < actions; ++action) victim.once(static_cast<Action>(action));
            }));
        wait_for(std::vector<pid_t>(children.begin() + 1, children.end()));
        common_->enough = true;
        wait_for({children.front()});
        const auto after = portrait(place_.path() / "outside");
        for (const auto &[path, text] : before)
            if (!after.contains(path)) common_->wrong(path + " is gone");
            else if (after.at(path) != text) common_->wrong(path + " has changed from " + text + " to " + after.at(path));
        for (const auto &[path, text] : after)
            if (!before.contains(path)) common_->wrong(path + " is new");
    }

    Common &common() const { return *common_.get(); }
    void tell(const char *test) const
    {
        std::printf("%s: %llu swaps; done/refused:", test, static_cast<unsigned long long>(common_->swaps));
        for (size_t i = 0; i < actions; ++i)
            std::printf(" %s %llu/%llu", action_names[i], static_cast<unsigned long long>(common_->done[i]), static_cast<unsigned long long>(common_->failed[i]));
        std::printf(";");
        for (size_t i = 0; i < std::size(common_->codes); ++i)
            if (common_->codes[i] > 0) std::printf(" %llu times %s", static_cast<unsigned long long>(common_->codes[i]), name(static_cast<Code>(i)));
        std::printf("\n");
    }

private:
    template <class Body>
    static pid_t in_child(Body body)
    {
        const pid_t child = ::fork();
        if (child != 0) return child;
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        int code = 1;
        try {
            body();
            code = 0;
        } catch (const std::exception &e) {
            std::fprintf(stderr, "%s\n", e.what());
        }
        ::_exit(code);
    }

    // A pipe that somebody waits at shows by nothing being done any more.
    void wait_for(std::vector<pid_t> children)
    {
        uint64_t beats = 0;
        Clock::time_point last = Clock::now();
        while (!children.empty()) {
            int status = 0;
            const pid_t ended = ::waitpid(children.back(), &status, WNOHANG);
            if (ended == children.back()) {
                if (status != 0) common_->wrong("a process ended with " + std::to_string(status));
                children.pop_back();
                continue;
            }
            if (beats != common_->beats || common_->enough) last = Clock::now();
            beats = common_->beats;
            if (Clock::now() - last > std::chrono::seconds(120)) {
                common_->wrong("an operation hangs");
                for (const pid_t child : children) ::kill(child, SIGKILL);
            }
            ::usleep(5000);
        }
    }

    QuickRoot place_;
    Shared<Common> common_;
};

uint64_t number_of(const char *variable, uint64_t otherwise)
{
    const char *text = ::getenv(variable);
    return text && *text ? std::stoull(text) : otherwise;
}

bool can_be_hostile(const char *test)
{
    if (::geteuid() == 0) return true;
    std::printf("SKIPPED: %s: only root can make devices\n", test);
    return false;
}

}  // namespace

BOOST_AUTO_TEST_CASE(nothing_outside_is_touched)
{
    if (!can_be_hostile("nothing_outside_is_touched")) return;
    const uint64_t seed = number_of("LITBUILD_TEST_SEED", std::random_device()());
    const uint64_t count = number_of("LITBUILD_TEST_COUNT", support::is_long() ? 100'000 : 0);
    Race race;
    race.run({Resolve::automatic, Resolve::walk}, count == 0 ? UINT64_MAX : count, std::chrono::milliseconds(count == 0 ? 5000 : 0), seed);
    race.tell("nothing_outside_is_touched");
    const Common &common = race.common();
    for (int i = 0; i < std::min(10, common.wrongs.load()); ++i) BOOST_ERROR(common.sentences[i]);
    BOOST_TEST_MESSAGE("seed " << seed);
    BOOST_TEST(common.wrongs == 0);
    BOOST_TEST(common.swaps > 100u);
    for (const Action action : {create, move_out, move_back, tag, control, look, read_file, list_builds}) BOOST_TEST(common.done[action] > 0u, action_names[action]);
}

// What a store does wrong must be seen, or the test above says nothing.
BOOST_AUTO_TEST_CASE(a_store_that_follows_links_is_found_out)
{
    if (!can_be_hostile("a_store_that_follows_links_is_found_out")) return;
    Race race;
    careless = true;
    race.run({Resolve::walk}, UINT64_MAX, std::chrono::seconds(20), 1);
    careless = false;
    race.tell("a_store_that_follows_links");
    BOOST_TEST(race.common().wrongs > 0);
    if (race.common().wrongs > 0) std::printf("    such as: %s\n", race.common().sentences[0]);
}
