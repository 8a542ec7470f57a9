// Watching a team: what happens to its builds is told, in order, and the watch ends when it is asked to.
#define BOOST_TEST_MODULE watch
#include <condition_variable>
#include <mutex>

#include "cli.hpp"
#include "old_build.hpp"

using namespace litbuild;
using namespace support;
namespace json = boost::json;
using Kind = Change::Kind;

namespace {

/// A watch in a thread of its own.
class Watcher {
public:
    Watcher(const Engine &engine, const std::string &team)
        : thread_([this, &engine, team] {
              Call call;
              call.cancelled_by(canceller_);
              try {
                  engine.watch(team, [this](const BuildChange &change) { return add(change); }, call);
              } catch (const Error &e) {
                  ended_with = e.what();
              }
          })
    {
        until("watching", [](const BuildChange &change) { return change.kind == Kind::watching; });
    }
    ~Watcher() { end(); }
    Watcher(const Watcher &) = delete;
    Watcher &operator=(const Watcher &) = delete;

    void end()
    {
        canceller_.cancel();
        if (thread_.joinable()) thread_.join();
    }

    /// Waits for a change like this behind the last one that was waited for; returns it.
    template <class Like>
    BuildChange until(const char *what, Like like)
    {
        std::unique_lock lock(mutex_);
        for (;;) {
            for (; at_ < seen_.size(); ++at_)
                if (like(seen_[at_])) return seen_[at_++];
            if (come_.wait_for(lock, 30s) == std::cv_status::timeout) BOOST_FAIL("never told: " << what);
        }
    }
    BuildChange until(const char *what, Kind kind, int64_t runid)
    {
        return until(what, [&](const BuildChange &change) { return change.kind == kind && change.build.runid == runid; });
    }

    std::string ended_with;

private:
    bool add(const BuildChange &change)
    {
        const std::lock_guard lock(mutex_);
        seen_.push_back(change);
        come_.notify_all();
        return true;
    }

    Canceller canceller_;
    std::mutex mutex_;
    std::condition_variable come_;
    std::vector<BuildChange> seen_;
    size_t at_ = 0;
    std::thread thread_;
};

}  // namespace

BOOST_AUTO_TEST_CASE(a_life_is_told)
{
    const TempRoot root;
    const Engine engine({.root = root.path()});
    old_build(root, 1, State::complete, 1h);
    Watcher watcher(engine, "contoso");
    const Build build = engine.launch("contoso", shell("until [ -e go ]; do sleep 0.05; done"));
    const BuildChange created = watcher.until("created", Kind::created, 2);
    BOOST_TEST(created.build.team == "contoso");
    BOOST_TEST(created.status.has_value());
    spill(build.path() / "go", "");
    watcher.until("complete", [](const BuildChange &change) {
        return change.build.runid == 2 && change.status && change.status->state == State::complete;
    });
    build.edit_tags({"x"});
    watcher.until("tagged", Kind::changed, 2);
    build.archive();
    const BuildChange archived = watcher.until("archived", Kind::archived, 2);
    BOOST_REQUIRE(archived.status.has_value());
    BOOST_TEST(name(archived.status->state) == "complete");
    build.restore();
    watcher.until("restored", Kind::restored, 2);
    build.archive();
    build.remove();
    BOOST_TEST(!watcher.until("removed", Kind::removed, 2).status.has_value());
    watcher.end();
    BOOST_TEST(watcher.ended_with == "contoso: cancelled");
}

BOOST_AUTO_TEST_CASE(a_watch_ends_when_it_is_asked_to)
{
    const TempRoot root;
    const Engine engine({.root = root.path()});
    old_build(root, 1, State::complete, 1h);
    int told = 0;
    engine.watch("contoso", [&](const BuildChange &) { return ++told == 0; });
    BOOST_TEST(told == 1);
    engine.watch("contoso", [&](const BuildChange &) { return ++told > 0; }, Call::within(8s));
    BOOST_TEST(told == 2);
    expect_error(Code::not_found, "nobody: no such team", [&] { engine.watch("nobody", [](const BuildChange &) { return true; }); });
    expect_error(Code::invalid, "'../x': not a team name", [&] { engine.watch("../x", [](const BuildChange &) { return true; }); });
}

BOOST_FIXTURE_TEST_CASE(on_the_command_line, Cli)
{
    old_build(root, 1, State::failed, 1h);
    const fs::path plain = work.path() / "plain", as_json = work.path() / "json";
    const pid_t first = start({"watch", "contoso"}, plain, "/dev/null");
    const pid_t second = start({"watch", "contoso", "--json"}, as_json, "/dev/null");
    for (const fs::path &out : {plain, as_json})
        eventually("watching", [&] { return slurp(out).find("watching") != std::string::npos; });
    good({"archive", "contoso", "1"});
    eventually("archived", [&] { return slurp(plain).find("  archived  contoso/1  failed\n") != std::string::npos; });
    eventually("archived", [&] { return slurp(as_json).find("\"change\":\"archived\"") != std::string::npos; });
    for (const pid_t pid : {first, second}) {
        ::kill(pid, SIGINT);
        BOOST_TEST(wait_for(pid) == 128 + SIGINT);
    }
    std::istringstream in(slurp(as_json));
    std::string line;
    std::getline(in, line);
    BOOST_TEST(json::parse(line).at("delay_ms").is_int64());
    while (std::getline(in, line)) BOOST_TEST(json::parse(line).at("team").as_string() == "contoso");
}
