// A host with a logger, a clock and threads of its own: own_host ROOT
//
// The engine logs only through Config::log, in whichever thread it is in. Deadlines are points on std::chrono::steady_clock:
// a host that counts its time otherwise converts what is left. Handles are values that any thread may use.
#include <atomic>
#include <chrono>
#include <iostream>
#include <mutex>
#include <thread>
#include <vector>

#include <litbuild/engine.hpp>

namespace {

class Logger {
public:
    void write(const std::string &line)
    {
        const std::lock_guard lock(mutex_);
        std::cout << "host: " << line << "\n";
    }

private:
    std::mutex mutex_;
};

/// The host's time runs in frames of a sixtieth of a second.
class FrameClock {
public:
    explicit FrameClock(uint64_t budget) : end_(std::chrono::steady_clock::now() + frame * budget) {}
    litbuild::Call call() const { return litbuild::Call::until(end_); }

private:
    static constexpr std::chrono::nanoseconds frame{1'000'000'000 / 60};
    std::chrono::steady_clock::time_point end_;
};

}  // namespace

int main(int argc, char **argv)
{
    if (argc != 2) return 2;
    Logger logger;
    const auto log = [&](int, std::string_view line) { logger.write(std::string(line)); };
    const litbuild::Engine engine({.root = argv[1], .log = log});

    std::vector<std::thread> threads;
    std::atomic<int> complete{0};
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] {
            try {
                const litbuild::Build build = engine.launch("contoso", R"({"steps": [{"command": ["true"]}]})");
                const litbuild::Status status = build.wait(FrameClock(60 * 60).call());
                logger.write(std::to_string(build.runid()) + " is " + name(status.state));
                complete += status.state == litbuild::State::complete;
            } catch (const litbuild::Error &e) {
                logger.write(e.what());
            }
        });
    for (std::thread &thread : threads) thread.join();

    // A deadline that has passed is an error with a code of its own; the build goes on.
    const litbuild::Build slow = engine.launch("contoso", R"({"steps": [{"command": ["sleep", "600"]}]})");
    try {
        slow.wait(FrameClock(1).call());
    } catch (const litbuild::Error &e) {
        logger.write(e.what());
        if (e.code() != litbuild::Code::timeout) return 1;
    }
    // And what waits in one thread is cancelled from another.
    litbuild::Canceller canceller;
    litbuild::Call call;
    call.cancelled_by(canceller);
    std::thread waiting([&] {
        try {
            slow.wait(call);
        } catch (const litbuild::Error &e) {
            logger.write(e.what());
        }
    });
    canceller.cancel();
    waiting.join();
    logger.write(slow.stop({.reason = "the host closes"}).message);
    return complete == 4 ? 0 : 1;
}
