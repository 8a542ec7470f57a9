// BuildStore: where builds live.
//
// Derive from it to keep builds somewhere else; <litbuild/export.hpp> makes a plugin of the class. The engine checks team
// names, run ids and tags before it calls, and decides whether a build may be moved; a store still treats every name that
// it turns into a path as hostile.
//
// Ownership: the engine owns the object and destroys it after the last call. Arguments are borrowed until the call returns.
// Threads: unless exported as LB_SERIAL, any number of calls at once from any thread.
// Errors: every function throws litbuild::Error with the codes named at it, and besides those Code::timeout,
// Code::cancelled, Code::denied, Code::unavailable, Code::no_space, Code::corrupt as they apply.
#pragma once

#include <chrono>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <litbuild/call.hpp>
#include <litbuild/names.hpp>

namespace litbuild {

enum class Scope : uint32_t { live = LB_LIVE, archived = LB_ARCHIVED, all = LB_ALL };

/// A build as the store sees it.
struct Entry {
    int64_t runid = 0;
    bool archived = false;
    std::string path;   ///< folder of the artifacts, where it is now
};

struct Query {
    std::string team;
    Scope scope = Scope::live;
    int64_t before = 0;   ///< only run ids below this one; 0: all
    uint64_t limit = 0;   ///< at most so many; 0: all
};

struct NewBuild {
    std::string team;
    std::string uuid;
    std::string document;   ///< JSON object for build.json, to which the store adds "runid" in front
    std::vector<std::pair<std::string, std::string>> files;   ///< name and content, there from the first moment
};

/// Receives a piece of a file; returns false for "enough".
using TextSink = std::function<bool(std::string_view)>;
/// Receives an entry of a list; returns false for "enough".
using EntrySink = std::function<bool(const Entry &)>;

/// Whether what is written has to outlive a power cut.
enum class Durable { no, yes };

enum class Repair : uint32_t { no = LB_REPAIR_NO, yes = LB_REPAIR_YES };

/// What an examination found.
struct Finding {
    enum class State : uint32_t {
        repaired = LB_FOUND_REPAIRED,       ///< `action` says what was done
        repairable = LB_FOUND_REPAIRABLE,   ///< `action` says what a repair would do
        left = LB_FOUND_LEFT,               ///< `action` says what a person may do
    };
    State state = State::left;
    int64_t runid = 0;    ///< 0: it is about the team
    std::string kind;     ///< one word for programs: "half-move", "torn-log", ...; see lb_finding
    std::string text;     ///< a sentence that starts with the object
    std::string action;
};

inline const char *name(Finding::State state) noexcept
{
    switch (state) {
    case Finding::State::repaired: return "repaired";
    case Finding::State::repairable: return "repairable";
    case Finding::State::left: break;
    }
    return "left";
}

/// What happened to a build.
struct Change {
    enum class Kind : uint32_t {
        watching = LB_CHANGE_WATCHING,   ///< the first one: from here on nothing is missed; again where the delay changes
        created = LB_CHANGE_CREATED,
        changed = LB_CHANGE_CHANGED,     ///< its status or its tags
        archived = LB_CHANGE_ARCHIVED,
        restored = LB_CHANGE_RESTORED,
        removed = LB_CHANGE_REMOVED,
    };
    Kind kind = Kind::watching;
    int64_t runid = 0;                    ///< 0 with Kind::watching
    std::chrono::milliseconds delay{0};   ///< with Kind::watching: how late a change may be told; 0: as it happens
};

inline const char *name(Change::Kind kind) noexcept
{
    switch (kind) {
    case Change::Kind::watching: return "watching";
    case Change::Kind::created: return "created";
    case Change::Kind::changed: break;
    case Change::Kind::archived: return "archived";
    case Change::Kind::restored: return "restored";
    case Change::Kind::removed: return "removed";
    }
    return "changed";
}

/// Each returns false for "enough".
using FindingSink = std::function<bool(const Finding &)>;
using ChangeSink = std::function<bool(const Change &)>;

class BuildStore {
public:
    virtual ~BuildStore() = default;

    /// LB_STORE_* bits. Default: no promise.
    virtual uint64_t capabilities() const { return 0; }

    /// The names of all teams, in any order.
    virtual std::vector<std::string> teams(const Call &call) = 0;
    /// A team's builds, the highest run id first, each once. Code::not_found: no such team.
    virtual void list(const Call &call, const Query &query, const EntrySink &each) = 0;
    /// Code::not_found: no such team or build.
    virtual Entry find(const Call &call, const BuildName &build) = 0;
    /// A new build under a run id its team never used; published whole. Makes the team where it is new.
    virtual Entry create(const Call &, const NewBuild &) { throw unsupported("create builds"); }
    /// Moves a build out of the main list; returns where it is now. Where it is archived already: no error.
    virtual Entry archive(const Call &, const BuildName &) { throw unsupported("archive"); }
    /// The way back, likewise.
    virtual Entry restore(const Call &, const BuildName &) { throw unsupported("restore"); }
    /// Tags in order. Default: none.
    virtual std::vector<std::string> tags(const Call &, const BuildName &) { return {}; }
    /// Removes, then adds those that are missing, in one step that loses no other writer's edit.
    virtual void edit_tags(const Call &, const BuildName &, std::span<const std::string> /*add*/,
                           std::span<const std::string> /*remove*/)
    {
        throw unsupported("change tags");
    }
    /// Bytes of a file of the build from `offset` on, at most `max` (0: to its end). Nothing behind the end.
    /// `name` is relative to the build's folder and never leads out of it. Code::not_found: no such build or file.
    virtual void read(const Call &call, const BuildName &build, std::string_view name, uint64_t offset, uint64_t max,
                      const TextSink &sink) = 0;
    /// Replaces `.control/NAME` of the build whole.
    virtual void write_control(const Call &, const BuildName &, std::string_view /*name*/, std::string_view /*content*/)
    {
        throw unsupported("write control files");
    }
    /// Removes an archived build for ever; its run id stays used. Code::refused: it is not archived.
    virtual void remove(const Call &, const BuildName &) { throw unsupported("remove builds"); }
    /// Tells what crashes, people and other programs have left of a team's builds; Repair::yes puts right what can be put
    /// right without losing anything. Code::not_found: no such team.
    virtual void examine(const Call &, const std::string & /*team*/, Repair, const FindingSink &)
    {
        throw unsupported("examine a team");
    }
    /// Tells what happens to a team's builds, first Change::Kind::watching, until the sink has enough or the deadline has
    /// passed; Code::cancelled. Several changes of one build may be told as one. Code::not_found: no such team.
    /// Not for classes that are exported as LB_SERIAL: nobody else would get a turn.
    virtual void watch(const Call &, const std::string & /*team*/, const ChangeSink &)
    {
        throw unsupported("watch a team");
    }
    /// How long ago a file of a build was last written, by the clock of where the builds are kept (a file server's), and by
    /// no other; never negative. Code::not_found: no such file. Code::unsupported, Code::denied: that clock cannot be asked.
    virtual std::chrono::nanoseconds age(const Call &, const BuildName &, std::string_view /*name*/)
    {
        throw unsupported("tell the age of a file");
    }
    /// How old what it tells of builds may be, because what other hosts do is seen late. Default: it is as it is.
    virtual std::chrono::milliseconds as_of() const { return std::chrono::milliseconds(0); }

    // From what follows the engine makes an index, which lets it list a team without reading each build. By default it reads
    // each.

    /// As long as it is the same and not empty, no build has come, gone or moved since it was first told, and the paths of all
    /// live builds differ in their last part, the run id, alone, as do those of the archived ones. Code::not_found: no such team.
    virtual std::string version(const Call &, const std::string & /*team*/) { throw unsupported("tell the version of a team"); }
    /// The names of the notes that the engine keeps beside a team's builds, in any order; none where there is no such team.
    virtual std::vector<std::string> notes(const Call &, const std::string & /*team*/) { throw unsupported("keep notes"); }
    /// Code::not_found: there is none.
    virtual void read_note(const Call &, const std::string & /*team*/, std::string_view /*name*/, const TextSink &)
    {
        throw unsupported("keep notes");
    }
    /// Replaces it whole. Code::not_found: no such team.
    virtual void write_note(const Call &, const std::string & /*team*/, std::string_view /*name*/, std::string_view /*content*/,
                            Durable)
    {
        throw unsupported("keep notes");
    }
    /// The same, where what is there begins with `before`, or where `before` is empty and there is none, in one
    /// step with finding that out. False: another one is there.
    virtual bool swap_note(const Call &, const std::string & /*team*/, std::string_view /*name*/, std::string_view /*before*/,
                           std::string_view /*content*/, Durable)
    {
        throw unsupported("keep notes");
    }
    /// Where there is none: no error.
    virtual void remove_note(const Call &, const std::string & /*team*/, std::string_view /*name*/)
    {
        throw unsupported("keep notes");
    }

protected:
    static Error unsupported(const char *what)
    {
        return Error(Code::unsupported, std::string("build store: this plugin cannot ") + what);
    }
};

}  // namespace litbuild
