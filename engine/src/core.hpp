// What the handles Engine and Build share: the configuration and the three opened plugins.
#pragma once

#include <memory>

#include <litbuild/engine.hpp>

#include "hearing.hpp"
#include "plugins.hpp"

namespace litbuild::detail {

struct Standing {
    enum class Lost { no, gone, silent };   ///< silent: on a host that is not heard of, and may only be cut off
    Status status{};
    uint64_t left_overs = 0;   ///< processes of a lost build that are alive
    Lost lost = Lost::no;
};

struct Core {
    Config config;
    std::filesystem::path runner;
    Registry registry;
    // In the order of their making: the status source reads through the store.
    std::shared_ptr<BuildStore> store;
    std::shared_ptr<StatusSource> status_source;
    std::shared_ptr<ProcessController> processes;

    mutable Hearing hearing{};

    explicit Core(Config config);

    /// The call with the configured deadline, where it brings none.
    Call bounded(const Call &call) const;

    /// Status with what can be derived: `lost` where the process is gone and left no word.
    Status status(const Call &call, const BuildName &build) const { return standing(call, build).status; }
    Standing standing(const Call &call, const BuildName &build) const;
    /// As the source tells it.
    Status told_status(const Call &call, const BuildName &build) const;
    /// A control file's content; nothing where it is not there.
    std::optional<std::string> control(const Call &call, const BuildName &build, std::string_view name) const;
    std::string uuid(const Call &call, const BuildName &build) const;
    void log(int level, const std::string &line) const;
};

/// Files of the protocol between engine, runner and controller, in `.control` of a build.
namespace control {
inline constexpr const char *token = "token";
inline constexpr const char *runner = "runner";     ///< who has the right to run the build
inline constexpr const char *verdict = "stopped";   ///< what an engine says of a build whose runner cannot
inline constexpr const char *stop = "stop.";        ///< one request each: this and a uuid
inline constexpr const char *beat = "beat";         ///< of a runner whose file system other hosts share
}  // namespace control

/// "2 processes live on".
std::string living(uint64_t count);

/// Throws Code::refused where processes of the build are alive, or may be; `doing`: "archiving".
void refuse_where_alive(const BuildName &build, const Standing &standing, const char *doing);

/// Sleeps up to `time`, the deadline, or until cancelled.
void pause(const Call &call, std::chrono::milliseconds time);

std::string new_uuid();
/// "user@host" of this process.
std::string whoami();

}  // namespace litbuild::detail
