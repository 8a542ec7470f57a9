// Commands that take long: what they show at a terminal and nowhere else, and how they end on a signal. And a watch over a
// store that cannot tell what happens.
#define BOOST_TEST_MODULE long_copy
#include <pty.h>

#include "../plugins/fixture.hpp"
#include "cli.hpp"
#include "old_build.hpp"

using namespace support;
namespace json = boost::json;

namespace {

/// litbuild over the slow store, with builds 1 to 3.
struct Slow : Cli {
    Slow()
    {
        place.install(plugins_test::library("slow_store.cpp"), "slow-store");
        spill(config(), json::serialize(json::object{{"store", {{"plugin", "slow-store"}}},
                                                     {"plugin_folders", {place.plugins.path.string()}}}));
        for (const char *id : {"1", "2", "3"}) fs::create_directories(root.path() / "contoso" / id);
        ::setenv("LITBUILD_CONFIG", config().c_str(), 1);
    }
    fs::path config() const { return work.path() / "config.json"; }
    fs::path out() const { return work.path() / "out"; }
    fs::path err() const { return work.path() / "err"; }
    void let_go(int id) const { spill(root.path() / ("go." + std::to_string(id)), ""); }
    void until_begun(int id) const { until_file(root.path() / ("begun." + std::to_string(id))); }
    bool is_archived(int id) const { return fs::exists(root.path() / "contoso" / (std::to_string(id) + ".archived")); }

    plugins_test::Place place;
};

/// A terminal whose other end is this test.
class Terminal {
public:
    Terminal()
    {
        char name[128];
        winsize size{.ws_row = 24, .ws_col = 80, .ws_xpixel = 0, .ws_ypixel = 0};
        BOOST_REQUIRE(::openpty(&ours_, &theirs_, name, nullptr, &size) == 0);
        ::fcntl(ours_, F_SETFD, FD_CLOEXEC);
        ::fcntl(theirs_, F_SETFD, FD_CLOEXEC);
        ::fcntl(ours_, F_SETFL, O_NONBLOCK);
        path = name;
    }
    ~Terminal()
    {
        ::close(ours_);
        ::close(theirs_);
    }
    Terminal(const Terminal &) = delete;
    Terminal &operator=(const Terminal &) = delete;

    /// All that was written so far.
    const std::string &text()
    {
        char piece[4096];
        for (ssize_t got; (got = ::read(ours_, piece, sizeof piece)) > 0;) text_.append(piece, static_cast<size_t>(got));
        return text_;
    }

    fs::path path;

private:
    int ours_ = -1;
    int theirs_ = -1;
    std::string text_;
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(a_terminal_shows_how_far_it_is, Slow)
{
    Terminal terminal;
    const pid_t pid = start({"archive", "contoso", "1"}, out(), terminal.path);
    eventually("a line", [&] { return terminal.text().find(" of 2.0 GB") != std::string::npos; });
    eventually("another", [&] { return std::count(terminal.text().begin(), terminal.text().end(), '\r') > 2; });
    let_go(1);
    BOOST_TEST(wait_for(pid) == 0);
    const std::string shown = terminal.text();
    BOOST_TEST(shown.starts_with("\rcontoso/1 [..."), shown);
    // And takes it away again.
    BOOST_TEST(shown.ends_with("\r\x1b[K"), shown);
    BOOST_TEST(shown.find('\n') == std::string::npos);
    BOOST_TEST(slurp(out()) == (root.path() / "contoso/1").string() + "\n");
}

BOOST_FIXTURE_TEST_CASE(a_pipe_and_a_terminal_that_cannot_are_spared, Slow)
{
    for (const char *kind : {"xterm", "dumb"}) {
        ::setenv("TERM", kind, 1);
        Terminal terminal;
        const bool dumb = std::string_view(kind) == "dumb";
        const int id = dumb ? 1 : 2;
        const fs::path to = dumb ? terminal.path : err();
        const pid_t pid = start({"archive", "contoso", std::to_string(id), "99"}, out(), to);
        until_begun(id);
        // Longer than a terminal would have to wait for it.
        std::this_thread::sleep_for(700ms);
        let_go(id);
        BOOST_TEST(wait_for(pid) == 3);
        BOOST_TEST((dumb ? terminal.text() : slurp(err())) ==
                   "litbuild: contoso/99: no such build" + std::string(dumb ? "\r\n" : "\n"));
    }
}

BOOST_FIXTURE_TEST_CASE(a_signal_ends_it_between_two_pieces, Slow)
{
    for (const int signal : {SIGINT, SIGTERM}) {
        const pid_t pid = start({"archive", "contoso", "1"}, out(), err());
        until_begun(1);
        ::kill(pid, signal);
        BOOST_TEST(wait_for(pid) == 128 + signal);
        BOOST_TEST(slurp(out()) == "");
        BOOST_TEST(slurp(err()) == "litbuild: contoso/1: cancelled\n");
        BOOST_TEST(!is_archived(1));
        fs::remove(root.path() / "begun.1");
    }
}

BOOST_FIXTURE_TEST_CASE(of_several_builds_those_before_the_signal_are_done, Slow)
{
    let_go(1);
    const pid_t pid = start({"archive", "contoso", "1-3"}, out(), err());
    until_begun(2);
    ::kill(pid, SIGINT);
    BOOST_TEST(wait_for(pid) == 128 + SIGINT);
    BOOST_TEST(slurp(out()) == "contoso/1: archived\n");
    BOOST_TEST(slurp(err()) == "litbuild: contoso: cancelled; 1 of 3 builds had been done\n");
    BOOST_TEST(is_archived(1));
    BOOST_TEST(!is_archived(2));
}

BOOST_FIXTURE_TEST_CASE(the_second_signal_does_not_ask, Slow)
{
    spill(root.path() / "deaf", "");
    const pid_t pid = start({"archive", "contoso", "1"}, out(), err());
    until_begun(1);
    ::kill(pid, SIGINT);
    // Until the first one has been taken the second would be the same.
    eventually("the first signal", [&] {
        const std::string status = slurp("/proc/" + std::to_string(pid) + "/status");
        const size_t at = status.find("SigCgt:");
        return at == std::string::npos || (std::stoull(status.substr(at + 7), nullptr, 16) & (1ull << (SIGINT - 1))) == 0;
    });
    ::kill(pid, SIGINT);
    BOOST_TEST(wait_for(pid) == 128 + SIGINT);
    BOOST_TEST(slurp(err()) == "");
}

BOOST_FIXTURE_TEST_CASE(a_signal_that_was_ignored_stays_so, Slow)
{
    ::signal(SIGINT, SIG_IGN);
    const pid_t pid = start({"archive", "contoso", "1"}, out(), err());
    ::signal(SIGINT, SIG_DFL);
    until_begun(1);
    ::kill(pid, SIGINT);
    let_go(1);
    BOOST_TEST(wait_for(pid) == 0);
    BOOST_TEST(is_archived(1));
}

BOOST_FIXTURE_TEST_CASE(a_store_that_cannot_tell_is_looked_at_again_and_again, Slow)
{
    const pid_t pid = start({"watch", "contoso", "--json"}, out(), err());
    std::vector<json::value> seen;
    const auto until = [&](const char *change, int64_t runid) {
        eventually(change, [&] {
            seen.clear();
            std::istringstream in(slurp(out()));
            for (std::string line; std::getline(in, line) && !in.eof();) seen.push_back(json::parse(line));
            return !seen.empty() && seen.back().at("change").as_string() == change &&
                   (runid == 0 || seen.back().at("runid").as_int64() == runid);
        });
    };
    until("watching", 0);
    BOOST_TEST(seen.back().at("delay_ms").as_int64() == 2000);
    old_build(root.path() / "away", 4, litbuild::State::running, 1h);
    fs::rename(root.path() / "away/contoso/logs/4", root.path() / "contoso/4");
    until("created", 4);
    BOOST_TEST(seen.back().at("state").as_string() == "running");
    old_build(root.path() / "away", 4, litbuild::State::failed, 1h);
    fs::rename(root.path() / "away/contoso/logs/4/status.json", root.path() / "contoso/4/status.json");
    until("changed", 4);
    BOOST_TEST(seen.back().at("state").as_string() == "failed");
    spill(root.path() / "contoso/4.archived", "");
    until("archived", 4);
    fs::remove(root.path() / "contoso/4.archived");
    until("restored", 4);
    fs::remove_all(root.path() / "contoso/4");
    until("removed", 4);
    BOOST_TEST(seen.size() == 6u);
    ::kill(pid, SIGINT);
    BOOST_TEST(wait_for(pid) == 128 + SIGINT);
    BOOST_TEST(good({"watch", "contoso", "--timeout", "50ms"}).find("watching  contoso  told within 2000ms\n") !=
               std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(what_a_store_cannot_do_is_said, Slow)
{
    fails({"doctor"}, 4, "build store: this plugin cannot examine a team\n");
    let_go(1);
    good({"archive", "contoso", "1"});
    fails({"remove", "contoso", "1"}, 4, "build store: this plugin cannot remove builds\n");
    fails({"tags", "contoso", "1-2", "--add", "x"}, 4, "build store: this plugin cannot change tags\n");
}
