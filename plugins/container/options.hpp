// What a container is made with: the deployment's configuration, and what a spec's "process" may change of it.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <service/endpoint.hpp>
#include <service/values.hpp>

namespace container {

using service::Value;

inline constexpr service::Kind engine_kind = {"the container engine", "container: engine", "tcp", nullptr,
                                       R"("unix:///run/docker.sock" or "tcp://build7:2376")"};

enum class Access { read, write };
enum class Pull { missing, always, never };
enum class Remove { always, on_success, never };

struct Mount {
    std::string source;   ///< on the engine's host
    std::string target;   ///< in the container
    Access access = Access::read;
};

struct Choice {
    std::string image;
    std::string user;      ///< "1000:1000"; empty: who owns the build's folder
    std::string network;
    std::vector<Mount> mounts;
    std::map<std::string, Value> environment;
    uint64_t processes = 0;     ///< 0: no limit
    uint64_t memory_bytes = 0;  ///< 0: no limit
    uint64_t cpu_ms = 0;        ///< of each process; 0: no limit
    double cpus = 0;            ///< 0: no limit
    Pull pull = Pull::missing;
};

/// What a spec may ask for; the deployment itself may ask for anything. Empty lists allow nothing.
struct Allowed {
    std::vector<std::string> images = {"*"};   ///< patterns, as of a shell
    std::vector<std::string> users;            ///< likewise
    std::vector<std::string> networks;         ///< likewise
    std::vector<Mount> mounts;                 ///< `source` and what is below; no target
    std::vector<std::string> files;            ///< folders of files whose content may be a variable's value
    std::vector<std::string> variables;        ///< of the launching process; names
};

struct Settings {
    service::Endpoint engine;
    std::chrono::milliseconds patience{30'000};
    std::string name = "litbuild-{team}-{runid}-{uuid8}";
    std::string runner;    ///< path on the engine's host; empty: the engine's own
    Remove remove = Remove::always;
    Choice defaults;
    Allowed allowed;
    bool read_only_root = true;
    bool new_privileges = false;
    std::vector<std::string> capabilities;   ///< kept; all others are dropped
    std::map<std::string, std::string> tmpfs = {{"/tmp", "rw,exec,nosuid,nodev,mode=1777"}};
};

/// Throws Code::invalid.
Settings read_settings(std::string_view config);

/// The spec's wishes over the defaults. `options` and `limits` are the spec's, as JSON; `object` starts the sentences.
/// Throws Code::invalid, and Code::denied where something is not allowed.
Choice choose(const Settings &settings, const std::string &object, std::string_view options, std::string_view limits,
              const std::string &folder);

}  // namespace container
