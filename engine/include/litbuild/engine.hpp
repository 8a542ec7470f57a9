// litbuild: launches data builds, tells their status, stops, archives and restores them.
//
//     litbuild::Engine engine({.root = "/data"});
//     litbuild::Build build = engine.launch("contoso", R"({"steps": [{"name": "load", "command": ["./load.sh"]}]})");
//     litbuild::Status status = build.wait();
//
// An Engine is a handle on a root folder and three plugins; it keeps no state of its own that a build depends on. Any number
// of engines, in one process or many, on one host or many, may work on one root.
//
// Threads: every function of Engine and Build may be called from any thread at any time; all are const.
// Errors: every function throws litbuild::Error (a code of a closed set, and one sentence that starts with the object), or
// std::bad_alloc. What each one throws besides Code::timeout, Code::cancelled, Code::unavailable, Code::denied,
// Code::no_space, Code::corrupt and Code::unsupported is said at it.
// Manners: the engine installs no signal handler, does not wait for children that it did not start, and changes neither the
// working directory, the umask nor the environment. A launch raises one SIGCHLD, as posix_spawn would.
// Deadlines: a call without one gets Config::deadline. wait(), follow(), events() and watch() wait as long as it takes.
// archive(), restore() and remove() may have whole trees to copy and to delete, where the archive lies on another file system:
// they and examine() have as long as it takes, too, and tell Call::on_progress how far they are.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <litbuild/call.hpp>
#include <litbuild/error.hpp>
#include <litbuild/names.hpp>
#include <litbuild/process.hpp>
#include <litbuild/status.hpp>
#include <litbuild/store.hpp>
#include <litbuild/time.hpp>
#include <litbuild/version.hpp>

namespace litbuild {

namespace detail {
struct Core;
class RowSource;
struct RowFiller;
}  // namespace detail

/// Which plugin serves an interface, and what it is configured with.
struct PluginChoice {
    std::string plugin{};        ///< its name; linked-in plugins are looked for first, then plugin folders
    std::string config = "{}";   ///< a JSON object. A store without "root" is given Config::root
};

// Every member has an initializer, so that designated ones may leave any of them out without a warning.
struct Config {
    /// Folder of the teams: build 19 of contoso is ROOT/contoso/logs/19. Must exist. Default: /data.
    std::filesystem::path root = "/data";
    PluginChoice store{.plugin = "local-fs"};
    PluginChoice status{.plugin = "local-fs"};
    PluginChoice process{.plugin = "local-process"};
    /// Absolute folders that are searched for plugin manifests (NAME.json), in order. Default: the folder of the
    /// installation. A plugin has all the rights of this process; a file or folder that others may write is refused.
    std::vector<std::filesystem::path> plugin_folders{};
    /// Plugins that are linked in, besides local-fs and local-process. Borrowed; must live as long as the process.
    std::vector<const lb_plugin *> linked{};
    /// The program that runs inside a build. Default: litbuild-runner beside this program, or of the installation.
    std::filesystem::path runner{};
    /// For calls that bring no deadline of their own. Default: 30 s. Zero: none.
    std::chrono::milliseconds deadline = std::chrono::seconds(30);
    /// A build that runs on another host is told as lost once that host has not been heard of for so long, by the file server's
    /// clock; a runner says every 4 s that it is there, where hosts share the file system. Default: 60 s. Zero: never.
    std::chrono::milliseconds lost_after = std::chrono::seconds(60);
    /// How builds are stopped, unless their spec or the call says otherwise. Default: TERM, 10 s, then KILL, 60 s.
    StopPlan stop = {{15, std::chrono::seconds(10)}, {9, std::chrono::seconds(60)}};
    /// Receives one line for the operator; `level` is one of LB_LOG_*. Any thread. Default: nothing is logged.
    std::function<void(int level, std::string_view line)> log{};

    /// From a JSON object with the keys root, store, status, process ({"plugin": NAME, ...its own}), plugin_folders, runner,
    /// deadline ("30s"), lost_after ("60s"), stop ([{"signal": "TERM", "grace": "10s"}, {"signal": "KILL"}]); all optional.
    /// `source` starts the sentences of errors. Code::invalid: not JSON, an unknown key, a value that makes no sense.
    LITBUILD_EXPORT static Config from_json(std::string_view text, const std::string &source = "configuration");
    /// Code::not_found: no such file.
    LITBUILD_EXPORT static Config from_file(const std::filesystem::path &file);
};

/// Which builds of a team. The default is the main list, whole.
struct Filter {
    Scope scope = Scope::live;
    std::optional<std::string> tag{};     ///< only builds that have it
    std::optional<State> state{};         ///< only builds that are in it
    Timestamp since = 0;                ///< only builds that were started then or later (made, where that is not known)
    uint64_t limit = 0;                 ///< at most so many; 0: all
    int64_t before = 0;                 ///< only run ids below this one; 0: all. For the next page: the last run id
};

struct StopOptions {
    std::optional<StopPlan> plan{};                      ///< default: the spec's, else Config::stop
    std::optional<std::chrono::milliseconds> grace{};    ///< of the plan's first step; zero: kill at once
    std::string by{};                                    ///< who asks. Default: `user@host` of this process
    std::string reason{};                                ///< why, for the status
};

struct StopResult {
    enum class Outcome {
        stopped,            ///< no process of the build is alive
        already_finished,   ///< it had ended by itself; its status stays what it was
        requested,          ///< it runs where this host cannot reach; the request lies in its folder, unanswered so far
        incomplete,         ///< see report.survivors
    };
    Outcome outcome = Outcome::stopped;
    std::string message;    ///< "Build id 19 has been stopped"
    StopReport report;      ///< what the process controller saw
};

inline const char *name(StopResult::Outcome outcome) noexcept
{
    switch (outcome) {
    case StopResult::Outcome::stopped: return "stopped";
    case StopResult::Outcome::already_finished: return "already_finished";
    case StopResult::Outcome::requested: return "requested";
    case StopResult::Outcome::incomplete: break;
    }
    return "incomplete";
}

/// What a list shows of a build.
struct Summary {
    BuildName name;
    std::filesystem::path path;
    bool archived = false;
    std::vector<std::string> tags;
    Status status;
};

/// A build of a list, good until the sink that was given it returns, in that thread. Of what is kept of a build that has ended
/// only what is asked for is taken apart. Throws, besides std::bad_alloc, what Build::summary() does where that proves damaged:
/// the build is read then.
class LITBUILD_EXPORT Row {
public:
    Row(const Row &) = delete;
    Row &operator=(const Row &) = delete;

    int64_t runid() const noexcept { return runid_; }
    bool archived() const noexcept { return archived_; }
    State state() const noexcept { return state_; }
    // Of the status; 0: not known.
    Timestamp time() const noexcept { return time_; }
    Timestamp created() const noexcept { return created_; }
    Timestamp started() const noexcept { return started_; }
    Timestamp ended() const noexcept { return ended_; }
    std::optional<double> progress() const noexcept { return progress_; }
    /// Name of the current step; nothing where there is none.
    std::optional<std::string> step() const;
    /// In their order.
    const std::vector<std::string_view> &tags() const;
    std::filesystem::path path() const;
    Summary summary() const;

private:
    friend struct detail::RowFiller;
    Row() = default;

    const detail::RowSource *source_ = nullptr;
    int64_t runid_ = 0;
    Timestamp time_ = 0, created_ = 0, started_ = 0, ended_ = 0;
    std::optional<double> progress_{};
    std::chrono::milliseconds as_of_{0};
    State state_ = State::unknown;
    bool archived_ = false;
    mutable bool has_tags_ = false;
    std::string_view record_{};                    // where it is empty:
    mutable const Summary *summary_ = nullptr;     // this, or `afresh_`
    mutable std::unique_ptr<Summary> afresh_{};
    mutable std::vector<std::string_view> tags_{};
};

/// Receives a build; returns false for "enough".
using RowSink = std::function<bool(const Row &)>;

/// What became of a list.
struct Listed {
    uint64_t count = 0;     ///< builds that were told
    bool complete = true;   ///< false: the deadline passed before all were; those that were told are the newest
    std::string why;        ///< who was waited for, where it is not complete
};

/// Several builds of a team: those that `runs` names, in that order, each once; where there is a filter, only those that it
/// lets pass. With a filter alone: all that it lets pass, the newest first. With neither: Code::invalid.
struct Selection {
    /// Run ids from `first` to `last`, both included; run ids without a build are passed over. `last` 0: this one alone, and
    /// where it is not there, that is an error of its result.
    struct Runs {
        int64_t first = 0;
        int64_t last = 0;
    };
    std::vector<Runs> runs{};
    /// Its scope counts for stop() and edit_tags(); archive() looks at the main list, restore() and remove() at the archive.
    std::optional<Filter> filter{};
};

/// How it went with one of several builds.
struct BulkResult {
    BuildName build;
    std::optional<Error> error{};       ///< why it was not done; none: it was
    std::filesystem::path path{};       ///< archive, restore, prune: where it is now
    std::vector<std::string> tags{};    ///< edit_tags: as they are now
    std::optional<StopResult> stop{};   ///< stop
};

/// Receives each result as soon as it and those before it are there, in the thread of the call.
using BulkSink = std::function<void(const BulkResult &)>;

/// Which builds of a team go: those that have ended, and that every criterion which is given lets go. One of `older_than`
/// and `keep_last` must be given.
struct Retention {
    enum class Action {
        archive,   ///< out of the main list
        remove,    ///< out of the archive, for ever
    };
    enum class Trial {
        no,
        yes,   ///< nothing is done; the results say what would be
    };
    Action action = Action::archive;
    /// Ended, or where that is not known, last heard of, longer ago than this. 0: however short.
    std::chrono::milliseconds older_than{0};
    /// The newest so many of the list that is worked on (the main list, or the archive), counted by run id, running and
    /// tagged ones included, stay. 0: none stays for this.
    uint64_t keep_last = 0;
    std::vector<std::string> keep_tags{};   ///< builds with one of these stay
    Trial trial = Trial::no;
};

/// What Engine::examine() found in a team.
struct TeamFinding {
    std::string team;
    Finding found;
};

/// What happened to a build.
struct BuildChange {
    Change::Kind kind = Change::Kind::watching;
    BuildName build;                          ///< with Kind::watching the team alone
    std::optional<Status> status{};           ///< as it was found then; not with Kind::watching and Kind::removed
    std::chrono::milliseconds delay{0};       ///< with Kind::watching: how late a change may be told; 0: as it happens
};

/// Receives a change; returns false for "enough".
using WatchSink = std::function<bool(const BuildChange &)>;

/// As one JSON object on one line: team runid path archived tags state time step steps progress exit error stopped_by reason,
/// and more. Times are RFC 3339 in UTC; what is not known is null.
LITBUILD_EXPORT std::string to_json(const Summary &summary);
LITBUILD_EXPORT std::string to_json(const StopResult &result, const BuildName &build);

/// Names a build. Making one asks nothing; a build that does not exist is Code::not_found at first use.
/// A plain handle: copy it, keep it, use it from any thread; it keeps what it needs of its engine alive.
class LITBUILD_EXPORT Build {
public:
    const std::string &team() const noexcept { return name_.team; }
    int64_t runid() const noexcept { return name_.runid; }

    /// The folder of the artifacts, where it is now.
    std::filesystem::path path(Call call = {}) const;
    std::vector<std::string> tags(Call call = {}) const;
    /// Removes, then adds those that are missing; returns the tags as they are then. Code::invalid: not a tag.
    std::vector<std::string> edit_tags(const std::vector<std::string> &add, const std::vector<std::string> &remove = {},
                                       Call call = {}) const;

    /// Hides the build from the main list; returns the new path, also when it is archived already. Cancelled, it is where it
    /// was. Code::refused: it is running.
    std::filesystem::path archive(Call call = {}) const;
    /// The way back, likewise.
    std::filesystem::path restore(Call call = {}) const;
    /// Removes an archived build with all its files, for ever; its run id stays used. Code::refused: it is not archived, or
    /// it has processes.
    void remove(Call call = {}) const;

    Status get_status(Call call = {}) const;
    /// Path, tags and status in one.
    Summary summary(Call call = {}) const;
    /// Stops the process and all its subprocesses. Returns when none is alive, or when the plan is at its end.
    /// Without a deadline the call may take as long as the plan.
    StopResult stop(const StopOptions &options = {}, Call call = {}) const;

    /// Waits until the build has ended; returns its status. Code::timeout: it has not by the call's deadline.
    Status wait(Call call = {}) const;
    /// The log from `offset` on, as it grows, until the build has ended, the sink returns false, or the deadline passes.
    /// Returns the offset behind the last byte that was given.
    uint64_t follow(const TextSink &sink, Call call = {}, uint64_t offset = 0) const;
    /// The events behind `cursor` (0: from the first). Where there is none yet: waits for one; nothing comes back once the
    /// build has ended or the deadline has passed.
    std::vector<Event> events(uint64_t cursor = 0, Call call = {}) const;
    /// Bytes of a file in the build's folder. Code::not_found: no such file.
    void read(std::string_view file, const TextSink &sink, uint64_t offset = 0, uint64_t max = 0, Call call = {}) const;

private:
    friend class Engine;
    Build(std::shared_ptr<const detail::Core> core, BuildName name);
    std::shared_ptr<const detail::Core> core_;
    BuildName name_;
};

/// A plugin that this engine knows of.
struct PluginInfo {
    std::string name;
    std::string version;
    std::string abi;                        ///< "1.0"
    std::vector<std::string> interfaces;    ///< "store", "status", "process"
    std::filesystem::path file;             ///< empty: linked in
    std::string problem;                    ///< why it cannot be used; empty: it can
};

class LITBUILD_EXPORT Engine {
public:
    /// Opens the three plugins. Code::invalid: the configuration makes no sense. Code::not_found: the root, the runner or a
    /// plugin is not there. Code::denied: a plugin's file or folder may be written by others.
    explicit Engine(Config config = {});
    ~Engine();
    Engine(Engine &&) noexcept;
    Engine &operator=(Engine &&) noexcept;

    /// Code::invalid: not a team name or not a run id.
    Build build(const std::string &team, int64_t runid) const;
    /// A team's builds, the newest first. Code::not_found: no such team.
    std::vector<Build> get_builds(const std::string &team, const Filter &filter = {}, Call call = {}) const;
    /// The same with path, tags and status of each. What builds that have ended need not be read for is kept with the team, by
    /// stores that can (lb_store.notes); it hides and invents none, and knows of every edit of tags that was made by an engine,
    /// on whatever host. Code::timeout: the deadline passed before all were read.
    std::vector<Summary> list(const std::string &team, const Filter &filter = {}, Call call = {}) const;
    /// One after the other, as they are read, which for many builds is several times as fast. A list that the deadline ends is
    /// told as far as it came. Code::timeout: not one build was read by then.
    Listed list(const std::string &team, const Filter &filter, const RowSink &each, Call call = {}) const;
    /// A new build, running. `spec` is a JSON object; all keys but `steps` may be left out:
    ///   steps        [{"name", "command": ["PROGRAM", "ARG", ...], "environment", "time_limit"}, ...]; at least one.
    ///                They run one after the other in the build's folder; the first that fails ends the build.
    ///                The name defaults to the program's; `time_limit` ("10m") to none
    ///   name, tags   of the build
    ///   environment  {"NAME": "value"} for every step, on top of what the process controller gives
    ///   time_limit   of the whole build. Default: none
    ///   stop         [{"signal": "TERM", "grace": "10s"}, {"signal": "KILL"}]. Default: Config::stop
    ///   limits       {"processes": 4096, "memory": "2G", "cpu_time": "1h"}; what keeps them is the controller's matter
    ///   left_overs   what becomes of processes that outlive the last step: "kill" (the default) or "wait" for them
    ///   linger       how long they are let before they are stopped. Default: "5s"
    ///   process      an object for the process controller
    /// Code::invalid: the spec makes no sense, or its first program is not there; then no build was made. Any other error of
    /// the start leaves a build in state `error`, which the sentence names.
    Build launch(const std::string &team, std::string_view spec, Call call = {}) const;
    std::vector<std::string> teams(Call call = {}) const;

    // What Build does, for several builds of a team: a result for each, and one failure hides no other. They throw what
    // concerns all: Code::invalid (no selection, not a tag), Code::not_found (no such team, or no build in any of the
    // ranges), Code::cancelled. Past the deadline of the call the builds that are left get Code::timeout for a result.
    // A call without a deadline gives each build what Build would.

    std::vector<BulkResult> archive(const std::string &team, const Selection &which, const BulkSink &each = {},
                                    Call call = {}) const;
    std::vector<BulkResult> restore(const std::string &team, const Selection &which, const BulkSink &each = {},
                                    Call call = {}) const;
    std::vector<BulkResult> remove(const std::string &team, const Selection &which, const BulkSink &each = {},
                                   Call call = {}) const;
    /// Up to 16 at a time, as each may take its whole grace.
    std::vector<BulkResult> stop(const std::string &team, const Selection &which, const StopOptions &options = {},
                                 const BulkSink &each = {}, Call call = {}) const;
    /// With nothing to add and to remove: tells the tags.
    std::vector<BulkResult> edit_tags(const std::string &team, const Selection &which, const std::vector<std::string> &add,
                                      const std::vector<std::string> &remove = {}, const BulkSink &each = {},
                                      Call call = {}) const;

    /// Archives or removes what the policy lets go, the newest first; a result for each that goes, or that should and could
    /// not. Builds that are queued, running or stopping stay, and so do those whose state is unknown: nobody can say that
    /// they have ended. Lost ones go once no process of them is left. Code::invalid: the policy says nothing of what goes.
    std::vector<BulkResult> prune(const std::string &team, const Retention &policy, const BulkSink &each = {},
                                  Call call = {}) const;

    /// What crashes, people and other programs have left in a team, or in all (empty), in its folders and with the process
    /// controller (Finding::kind "stray"), and what was done about it: Repair::yes puts right what can be put right without
    /// losing anything. Code::not_found: no such team.
    std::vector<TeamFinding> examine(const std::string &team = {}, Repair repair = Repair::no, Call call = {}) const;
    /// Tells what happens to a team's builds, first Kind::watching, from which on nothing is missed, until the sink has
    /// enough or the deadline has passed. Several changes of one build may be told as one. Where the store cannot tell,
    /// the engine looks again and again; Kind::watching says how often. Code::not_found: no such team.
    void watch(const std::string &team, const WatchSink &sink, Call call = {}) const;

    /// Linked-in plugins and those found in the plugin folders. Loads none.
    std::vector<PluginInfo> plugins() const;

private:
    std::shared_ptr<const detail::Core> core_;
};

}  // namespace litbuild
