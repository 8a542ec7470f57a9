// What this plugin asks of a container engine: the part of the Docker Engine API that Docker and Podman share.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include <boost/json/object.hpp>

#include <litbuild/process.hpp>

#include <service/http.hpp>

namespace container {

using service::Answer;
using service::Endpoint;
using service::Http;
using service::Unreachable;
using service::Verb;

/// The engine did answer, and said no; its own sentence is in the error's.
class Refusal final : public litbuild::Error {
public:
    Refusal(unsigned status, litbuild::Code code, const std::string &sentence) : Error(code, sentence), status_(status) {}
    /// Of HTTP.
    unsigned status() const noexcept { return status_; }

private:
    unsigned status_;
};

struct Container {
    std::string id;
    std::string name;
    std::map<std::string, std::string> labels;
    std::string state;         ///< created running paused restarting removing exited dead ...
    int64_t exit_code = 0;     ///< counts where it has ended
    bool out_of_memory = false;   ///< true is true; engines miss it
    std::string started;       ///< RFC 3339 as the engine writes it; empty: never
    std::string ended;
    std::string error;         ///< why it could not be started, or empty
    std::string kept_in;       ///< a folder of the engine's that is this container's; empty: not told
    int64_t memory = 0;        ///< its limit in bytes; 0: none
    bool removes_itself = false;

    bool is_alive() const { return state == "running" || state == "paused" || state == "restarting"; }
    bool is_ended() const { return state == "exited" || state == "dead" || state == "stopped" || state == "removing"; }
    const std::string &label(const std::string &key) const;
};

/// Threads: any. Every function throws Unreachable, Refusal, or what Call::check throws.
class Api {
public:
    /// `patience`: how long one request may take that the engine answers at once.
    Api(Endpoint endpoint, std::chrono::milliseconds patience) : http_(std::move(endpoint)), patience_(patience) {}

    const std::string &object() const noexcept { return http_.object(); }

    /// The id of the new container.
    std::string create(const litbuild::Call &call, const std::string &name, const boost::json::object &what) const;
    void start(const litbuild::Call &call, const std::string &id) const;
    /// By id or name. None: there is no such container.
    std::optional<Container> inspect(const litbuild::Call &call, const std::string &id) const;
    /// False: it does not run.
    bool kill(const litbuild::Call &call, const std::string &id, int signal) const;
    void unpause(const litbuild::Call &call, const std::string &id) const;
    struct Ended {
        std::optional<int64_t> exit_code;   ///< none: it is gone
    };
    /// None: the deadline came first.
    std::optional<Ended> wait(const litbuild::Call &call, const std::string &id) const;
    /// Force::no: one that runs stays.
    enum class Force { no, yes };
    void remove(const litbuild::Call &call, const std::string &id, Force force) const;
    struct Listed {
        std::string id;
        std::string state;
        int64_t created = 0;   ///< seconds since 1970-01-01
        std::map<std::string, std::string> labels;
    };
    /// By label, "NAME" or "NAME=VALUE".
    std::vector<Listed> list(const litbuild::Call &call, const std::string &label) const;
    bool has_image(const litbuild::Call &call, const std::string &image) const;
    void pull(const litbuild::Call &call, const std::string &image) const;
    bool is_podman(const litbuild::Call &call) const;
    /// The end of what it wrote to its standard output and error.
    std::string output(const litbuild::Call &call, const std::string &id) const;
    std::vector<litbuild::ProcessInfo> processes(const litbuild::Call &call, const std::string &id) const;
    /// The folder that the engine keeps everything in.
    std::string folder(const litbuild::Call &call) const;
    /// Whether users in containers are not the host's.
    bool is_rootless(const litbuild::Call &call) const;
    /// With what a container ended that is not there any more. None: the engine does not remember.
    std::optional<int64_t> remembered_exit(const litbuild::Call &call, const std::string &id) const;

private:
    Answer ask(const litbuild::Call &call, Verb verb, const std::string &target, const std::string &body = "") const;
    Answer good(const litbuild::Call &call, Verb verb, const std::string &target, const std::string &body = "") const;
    Answer answer_to(const litbuild::Call &call, const std::string &target) const;
    boost::json::value info(const litbuild::Call &call) const;
    std::string version(const litbuild::Call &call) const;
    [[noreturn]] void refuse(const Answer &answer) const;
    boost::json::value parse(const std::string &text) const;

    Http http_;
    std::chrono::milliseconds patience_;
    mutable std::mutex mutex_;
    mutable std::string version_;   ///< "/v1.41"; empty: to be asked
    mutable bool is_podman_ = false;
};

}  // namespace container
