#define BOOST_TEST_MODULE deadline_fs
#include <boost/test/unit_test.hpp>

#include <signal.h>

#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

#include <folder-store/deadline_fs.hpp>

#include "folder_fixture.hpp"

using namespace fixture;
using namespace std::chrono_literals;
using folder::DeadlineFs;
using folder::Path;

namespace {

// Closed, it holds whoever comes to it, as a server that is away does.
class Gate {
public:
    ~Gate() { open(); }
    void close()
    {
        const std::lock_guard<std::mutex> hold(mutex_);
        is_open_ = false;
    }
    void open()
    {
        {
            const std::lock_guard<std::mutex> hold(mutex_);
            is_open_ = true;
        }
        moved_.notify_all();
    }
    void pass()
    {
        std::unique_lock<std::mutex> hold(mutex_);
        ++waiting_;
        moved_.wait(hold, [&] { return is_open_; });
        --waiting_;
    }
    int waiting()
    {
        const std::lock_guard<std::mutex> hold(mutex_);
        return waiting_;
    }

private:
    std::mutex mutex_;
    std::condition_variable moved_;
    bool is_open_ = true;
    int waiting_ = 0;
};

struct Gated : TempFolder {
    std::shared_ptr<Gate> gate = std::make_shared<Gate>();
    DeadlineFs fs{path.string(), 0, [this] {
                      auto inner = std::make_unique<Faulty>(path.string());
                      inner->on_look = inner->on_read_dir = [held = gate](const std::string &) { held->pass(); };
                      inner->on_change = [held = gate](const char *, const std::string &) { held->pass(); };
                      return inner;
                  }};
    ~Gated() { gate->open(); }
};

// Until what was left alone has come back.
void until_it_answers(DeadlineFs &fs)
{
    for (int i = 0; i < 2000; ++i) {
        if (failure([&] { fs.look(Call::within(10s), Path()); }) == "nothing thrown") return;
        std::this_thread::sleep_for(5ms);
    }
    BOOST_FAIL("it never answers again");
}

}  // namespace

BOOST_AUTO_TEST_CASE(what_works_is_passed_on)
{
    Gated g;
    const Call call = Call::within(30s);
    BOOST_TEST(g.fs.make_dir(call, Path() / "a"));
    BOOST_TEST(!g.fs.make_dir(call, Path() / "a"));
    g.fs.write_file(call, Path() / "a" / "file", "text", folder::Durable::yes);
    std::string seen;
    BOOST_TEST(g.fs.read_file(call, Path() / "a" / "file", 1, 2, [&](std::string_view piece) {
        seen += piece;
        return true;
    }));
    BOOST_TEST(seen == "ex");
    g.fs.edit_file(call, Path() / "a" / "file", folder::Durable::no, [](std::string_view text) { return std::string(text) + "!"; });
    BOOST_TEST(slurp(g.path / "a/file") == "text!");
    BOOST_TEST(failure([&] { g.fs.write_file(call, Path() / "b" / "file", "", folder::Durable::no); }).starts_with("not_found; "));
    BOOST_TEST(failure([&] { g.fs.read_dir(call, Path(), [](std::string_view, folder::Kind) -> bool { throw Error(Code::refused, "mine"); }); }) ==
               "refused; mine");
    g.fs.lock(call, Path() / "a" / "file");
    g.fs.remove_tree(call, Path() / "a");
    BOOST_TEST((g.fs.look(call, Path() / "a").kind == folder::Kind::none));
}

BOOST_AUTO_TEST_CASE(signals_are_for_the_threads_of_the_host)
{
    TempFolder folder;
    bool is_blocked = false;
    DeadlineFs fs(folder.path.string(), 0, [&] {
        auto inner = std::make_unique<Faulty>(folder.path.string());
        inner->on_look = [&](const std::string &) {
            sigset_t blocked;
            ::pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
            is_blocked = ::sigismember(&blocked, SIGTERM) == 1 && ::sigismember(&blocked, SIGCHLD) == 1;
        };
        return inner;
    });
    fs.look(Call::within(30s), Path());
    BOOST_TEST(is_blocked);
    sigset_t ours;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &ours);
    BOOST_TEST(::sigismember(&ours, SIGTERM) == 0);
}

BOOST_AUTO_TEST_CASE(a_lock_may_be_given_back_while_a_look_at_it_hangs)
{
    TempFolder folder;
    const auto gate = std::make_shared<Gate>();
    DeadlineFs fs(folder.path.string(), 0, [&] {
        auto inner = std::make_unique<Faulty>(folder.path.string());
        inner->on_held = [gate] { gate->pass(); };
        return inner;
    });
    {
        const auto held = fs.lock(Call::within(30s), Path() / "file");
        gate->close();
        BOOST_TEST(failure([&] { held->is_held(Call::within(100ms)); }).find(": has not answered for ") != std::string::npos);
        for (int i = 0; i < 3000 && gate->waiting() != 1; ++i) std::this_thread::sleep_for(10ms);
        BOOST_TEST(gate->waiting() == 1);
    }
    gate->open();
    until_it_answers(fs);
    // Nobody has it any more.
    BOOST_TEST(fs.lock(Call::within(30s), Path() / "file")->is_held(Call::within(30s)));
}

namespace {

size_t threads() { return static_cast<size_t>(std::distance(std::filesystem::directory_iterator("/proc/self/task"), std::filesystem::directory_iterator())); }

}  // namespace

BOOST_AUTO_TEST_CASE(threads_are_used_again_and_go_with_it)
{
    const size_t before = threads();
    {
        TempFolder folder;
        std::set<std::thread::id> seen;
        DeadlineFs fs(folder.path.string(), 0, [&] {
            auto inner = std::make_unique<Faulty>(folder.path.string());
            inner->on_look = [&](const std::string &) { seen.insert(std::this_thread::get_id()); };
            return inner;
        });
        for (int i = 0; i < 200; ++i) fs.look(Call::within(30s), Path());
        // One that has just answered may be on its way to where it waits.
        BOOST_TEST(seen.size() < 50u);
        // In a child there are none of them.
        BOOST_TEST(in_processes(1, [&](int) {
            expect(fs.look(Call::within(30s), Path()).kind == folder::Kind::folder, "look");
            expect(fs.make_dir(Call::within(30s), Path() / "by child"), "make_dir");
        }) == 0);
        BOOST_TEST(std::filesystem::exists(folder.path / "by child"));
    }
    for (int i = 0; i < 2000 && threads() > before; ++i) std::this_thread::sleep_for(5ms);
    // Those of earlier cases may have gone, too.
    BOOST_TEST(threads() <= before);
}

BOOST_AUTO_TEST_CASE(a_receiver_may_call_again)
{
    Gated g;
    g.fs.make_dir(Call(), Path() / "a");
    int looked = 0;
    g.fs.read_dir(Call(), Path(), [&](std::string_view name, folder::Kind) {
        looked += g.fs.look(Call(), Path() / name).kind == folder::Kind::folder;
        return true;
    });
    BOOST_TEST(looked == 1);
}

BOOST_AUTO_TEST_CASE(who_hangs_holds_nobody)
{
    Gated g, other;
    g.gate->close();
    const std::string start = g.path.string() + ": has not answered for ";
    BOOST_TEST(failure([&] { g.fs.look(Call::within(200ms), Path()); }).starts_with("timeout; " + start));
    bool told = false;
    BOOST_TEST(failure([&] {
                   g.fs.read_dir(Call::within(100ms), Path(), [&](std::string_view, folder::Kind) { return told = true; });
               }).find(start) != std::string::npos);
    // From some moment on nobody waits at all, however long he could.
    std::string soon;
    for (int i = 0; i < 200 && !soon.starts_with("unavailable; "); ++i) soon = failure([&] { g.fs.look(Call::within(50ms), Path()); });
    BOOST_TEST(soon.starts_with("unavailable; " + start), soon);
    const int waiting = g.gate->waiting();
    BOOST_TEST(failure([&] { g.fs.make_dir(Call(), Path() / "never"); }).starts_with("unavailable; " + start));
    BOOST_TEST(g.gate->waiting() == waiting);
    BOOST_TEST(other.fs.make_dir(Call::within(30s), Path() / "a"));

    spill(g.path / "something", "");
    g.gate->open();
    until_it_answers(g.fs);
    BOOST_TEST(!told);
    BOOST_TEST(g.fs.make_dir(Call(), Path() / "a"));
    BOOST_TEST(!fs::exists(g.path / "never"));
}

BOOST_AUTO_TEST_CASE(who_is_cancelled_does_not_wait_for_an_answer)
{
    Gated g;
    g.gate->close();
    Canceller canceller;
    Call call;
    call.cancelled_by(canceller);
    std::thread soon([&] {
        std::this_thread::sleep_for(50ms);
        canceller.cancel();
    });
    BOOST_TEST(failure([&] { g.fs.look(call, Path()); }).starts_with("cancelled; "));
    soon.join();
    g.gate->open();
    until_it_answers(g.fs);
}

BOOST_AUTO_TEST_CASE(what_hangs_at_the_start_is_waited_for_later)
{
    TempFolder root;
    const auto gate = std::make_shared<Gate>();
    gate->close();
    DeadlineFs hung(root.path.string(), 0, [gate, path = root.path.string()] {
        gate->pass();
        return std::make_unique<PosixFs>(path);
    }, 50ms);
    BOOST_TEST(failure([&] { hung.look(Call::within(50ms), Path()); }) != "nothing thrown");
    gate->open();
    until_it_answers(hung);
    BOOST_TEST(failure([] { DeadlineFs none("/no/such", 0, [] { return std::make_unique<PosixFs>("/no/such"); }); })
                   .starts_with("not_found; /no/such: "));
}
