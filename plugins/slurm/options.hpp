// How jobs are submitted: the deployment's configuration, and what a spec's "process" may change of it.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <service/endpoint.hpp>
#include <service/values.hpp>

namespace slurm {

inline constexpr service::Kind rest_kind = {"slurmrestd", "slurm: rest", "https", "http",
                                            R"("unix:///run/slurmrestd.sock" or "https://head:6820")"};

/// What is empty or 0 is left to the cluster.
struct Choice {
    std::string partition;
    std::string account;
    std::string qos;
    std::string constraints;
    std::chrono::milliseconds time{};   ///< of the job; Slurm counts whole minutes
    uint64_t cpus = 0;
    uint64_t memory_bytes = 0;          ///< of the job; Slurm counts MiB
    uint64_t cpu_ms = 0;                ///< of each process
    uint64_t processes = 0;             ///< of the job's user, on its node
    std::optional<bool> requeue;        ///< none: as the cluster does
    std::map<std::string, service::Value> environment;
};

struct Settings {
    service::Endpoint rest;      ///< kind null: by the C library
    std::string api = "v0.0.38";
    std::string user;            ///< as whom slurmrestd is asked; empty: not told
    std::string token_file;      ///< of a token of Slurm's for that; empty: none
    std::string client;          ///< the program litbuild-slurm; empty: beside the plugin
    std::string conf;            ///< slurm.conf, for that program; empty: as Slurm finds it
    std::chrono::milliseconds patience{10'000};   ///< with one request
    std::string runner;          ///< path on the nodes; empty: the engine's own
    std::vector<std::string> inherit = {"PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ"};   ///< variables of the launching process
    Choice defaults;
};

/// Throws Code::invalid.
Settings read_settings(std::string_view config);

/// The spec's wishes over the defaults. `options` and `limits` are the spec's, as JSON; `object` starts the sentences.
/// Throws Code::invalid.
Choice choose(const Settings &settings, const std::string &object, std::string_view options, std::string_view limits);

}  // namespace slurm
