// What a change that was broken off or failed may leave, and what it must have done.
#pragma once

#include "store/place.hpp"

namespace support {

/// Whether the operation may have been done, or must have been.
enum class Done { perhaps, surely };
/// Whether temporaries may lie about.
enum class Swept { no, yes };
/// Whether the process lives that has left something. What belongs to the living may be left alone.
enum class Owner { gone, alive };

class Trial {
public:
    explicit Trial(const Operation &operation)
        : operation_(operation), place_(operation.archive, operation.starts_archived), started_archived_(operation.starts_archived)
    {
        // What is made at the first time is to be made in the trial.
        if (operation.effect == Effect::control) fs::remove_all(place_.folder(Place::target) / ".control");
        if (operation.effect == Effect::tags && !started_archived_) fs::remove(place_.folder(Place::target) / ".tags.lock");
        if (!touches_target()) return;
        place_.known.at(Place::target).tree = describe(place_.folder(Place::target));
    }
    const fs::path &root() const { return place_.root(); }
    const Place &place() const { return place_; }

    /// Each build is in one place, whole, told once; the one in question as before, or as it is to be.
    void verify(Done done, Swept swept)
    {
        const Stored store = place_.open();
        for (const auto &[runid, build] : place_.known)
            if (runid != Place::target || !touches_target()) verify(store, Place::team, runid, build, swept);
        for (const auto &[runid, build] : place_.others) verify(store, "fabrikam", runid, build, swept);
        if (touches_target()) verify_target(store, done, swept);
        verify_lists(store);
        if (operation_.effect == Effect::creates) demand(!(done == Done::surely && created_ == 0), "was created, and is not there");
        if (swept == Swept::yes) verify_swept();
    }

    /// Again, as one does who was told of an error, or who finds it half-done.
    void repeat()
    {
        const Stored store = place_.open();
        if (operation_.effect == Effect::creates) {
            created_ = place_.add_new(store, operation_.team);
            return;
        }
        Report report;
        act(operation_, *store, report, 0);
        const bool was_gone = operation_.effect == Effect::removes && report.code == Code::not_found && !listed(store, Place::target);
        demand(report.end == Report::End::done || was_gone, std::string("cannot be repeated: ") + report.sentence);
    }

    /// Finds what is left, puts it right, and then has nothing to say.
    void examine(Owner owner)
    {
        const Stored store = place_.open();
        for (const std::string &team : store->teams(Call())) {
            const auto findings = [&](Repair repair) {
                std::string text;
                store->examine(Call(), team, repair, [&](const Finding &finding) {
                    if (repair == Repair::yes && finding.state == Finding::State::repaired) return true;
                    text += (text.empty() ? "" : "; ") + finding.kind + ": " + finding.text + " (" + finding.action + ")";
                    return true;
                });
                return text;
            };
            findings(Repair::no);
            const std::string left = findings(Repair::yes);
            if (owner == Owner::alive) continue;
            demand(left.empty(), "the repair has left: " + left);
            const std::string again = findings(Repair::no);
            demand(again.empty(), "found after the repair: " + again);
        }
    }

    void add_new() { place_.add_new(place_.open()); }

    /// The build that a try has made, if it is to be seen.
    void adopt(int number)
    {
        if (operation_.effect != Effect::creates) return;
        const Builds &builds = operation_.team == std::string(Place::team) ? place_.known : place_.others;
        for (const auto &[runid, archived] : list(place_.open(), operation_.team, Scope::all)) {
            if (builds.contains(runid)) continue;
            demand(created_ == 0, "two builds were made at once");
            demand(!archived, "the new build is archived");
            created_ = runid;
            place_.adopt(operation_.team, runid, uuid_of(first_draft + number), place_.logs(operation_.team) / std::to_string(runid));
        }
    }
    int64_t created() const { return created_; }
    /// Forgets what was made, so that another try may make one.
    void next_try() { created_ = 0; }

private:
    using List = std::multimap<int64_t, bool>;

    bool touches_target() const { return operation_.effect != Effect::creates; }

    static List list(const Stored &store, const std::string &team, Scope scope)
    {
        List out;
        try {
            store->list(Call(), {team, scope, 0, 0}, [&](const Entry &entry) { return out.emplace(entry.runid, entry.archived), true; });
        } catch (const Error &error) {
            if (error.code() != Code::not_found || team == Place::team) throw;
        }
        return out;
    }
    static bool listed(const Stored &store, int64_t runid) { return list(store, Place::team, Scope::all).contains(runid); }

    fs::path folder(const std::string &team, int64_t runid, bool archived) const
    {
        return (archived ? place_.logs(team) / "archive" : place_.logs(team)) / std::to_string(runid);
    }

    void verify(const Stored &store, const std::string &team, int64_t runid, const Known &build, Swept swept) const
    {
        const std::string name = team + "/" + std::to_string(runid);
        const Entry entry = store->find(Call(), {team, runid});
        const fs::path wanted = folder(team, runid, build.archived);
        demand(entry.archived == build.archived && entry.path == wanted, name + ": is at " + entry.path);
        const std::string wrong = difference(without_temporaries(build.tree, swept), without_temporaries(describe(wanted), swept));
        demand(wrong.empty(), name + ": " + wrong);
        demand(store->tags(Call(), {team, runid}) == build.tags, name + ": its tags are others");
        if (swept == Swept::yes) demand(!fs::exists(folder(team, runid, !build.archived)), name + ": lies in both places");
    }

    void verify_target(const Stored &store, Done done, Swept swept)
    {
        Known &build = place_.known.at(Place::target);
        const BuildName name{Place::team, Place::target};
        const std::string object = to_string(name);
        if (operation_.effect == Effect::removes && !listed(store, name.runid)) {
            gone_ = true;
            try {
                demand(false, object + ": is not listed, and found at " + store->find(Call(), name).path);
            } catch (const Error &error) {
                demand(error.code() == Code::not_found, error.what());
            }
            demand(!fs::exists(folder(name.team, name.runid, true)) && !fs::exists(folder(name.team, name.runid, false)),
                   object + ": is not listed, and lies there");
            return;
        }
        demand(!gone_, object + ": was gone, and is there again");
        if (operation_.effect == Effect::removes) demand(done == Done::perhaps, object + ": was removed, and is there");
        if (operation_.effect == Effect::moves) {
            const bool is_archived = store->find(Call(), name).archived;
            const bool has_moved = is_archived != started_archived_;
            demand(has_moved || done == Done::perhaps, object + ": was moved, and is where it was");
            demand(has_moved || !was_done_, object + ": was where it is to be, and is not any more");
            was_done_ = has_moved;
            build.archived = is_archived;
        }
        if (operation_.effect == Effect::tags) {
            const bool is_new = store->tags(Call(), name) != std::vector<std::string>{"blue", "cyan"};
            demand(is_new || done == Done::perhaps, object + ": its tags were changed, and are the old ones");
            settle(build, "tags", is_new ? "cyan,gold\n" : "blue,cyan\n", is_new);
            build.tags = is_new ? std::vector<std::string>{"cyan", "gold"} : std::vector<std::string>{"blue", "cyan"};
        }
        if (operation_.effect == Effect::control) {
            const bool is_new = fs::exists(place_.folder(name.runid) / ".control/mark");
            demand(is_new || done == Done::perhaps, object + ": the file was written, and is not there");
            settle(build, ".control/mark", is_new ? "whole\n" : "", is_new);
        }
        verify(store, name.team, name.runid, build, swept);
    }

    /// A file of the target is as it was or as it is to be; never again as it was. Its new entry becomes the known one.
    void settle(Known &build, const char *file, const char *content, bool is_new)
    {
        const fs::path folder = place_.folder(Place::target);
        demand(slurp(folder / file) == content, std::string(file) + " is '" + slurp(folder / file) + "'");
        demand(is_new || !was_done_, std::string(file) + ": was changed, and is as it was");
        was_done_ = is_new;
        // Times of the folders that it was changed in, and the lock beside it, are the engine's.
        const Manifest now = describe(folder);
        for (const char *name : {file, "", ".control", ".tags.lock"}) {
            const auto found = now.find(name);
            if (found != now.end()) build.tree[name] = found->second;
            else build.tree.erase(name);
        }
    }

    void verify_lists(const Stored &store) const
    {
        for (const char *team : {Place::team, "fabrikam"}) {
            List wanted;
            for (const auto &[runid, build] : team == std::string(Place::team) ? place_.known : place_.others)
                if (!(gone_ && runid == Place::target && team == std::string(Place::team))) wanted.emplace(runid, build.archived);
            demand(list(store, team, Scope::all) == wanted, std::string(team) + ": the list is wrong");
            List parts = list(store, team, Scope::live);
            for (const auto &[runid, archived] : parts) demand(!archived, std::string(team) + ": an archived build is in the main list");
            for (const auto &[runid, archived] : list(store, team, Scope::archived)) {
                demand(archived, std::string(team) + ": a live build is in the archive");
                parts.emplace(runid, archived);
            }
            demand(parts == wanted, std::string(team) + ": the lists of both places are wrong");
        }
    }

    static bool is_temporary(std::string_view name)
    {
        return name.starts_with(".tmp-") || name.starts_with(".new-") || name.starts_with(".mv-") || name.starts_with(".trash-");
    }
    static Manifest without_temporaries(Manifest tree, Swept swept)
    {
        if (swept == Swept::yes) return tree;
        for (auto at = tree.begin(); at != tree.end();) {
            const fs::path name = at->first;
            at = std::any_of(name.begin(), name.end(), [](const fs::path &part) { return is_temporary(part.string()); }) ? tree.erase(at)
                                                                                                                : std::next(at);
        }
        return tree;
    }

    /// Beside the builds there are locks, the last id, that of the last one removed, and nothing else.
    void verify_swept() const
    {
        static const std::set<std::string> kept = {".next", ".next.lock", ".removed"};
        std::vector<fs::path> folders = {place_.root()};
        for (const char *team : {Place::team, "fabrikam"})
            for (const fs::path &folder : {place_.root() / team, place_.logs(team), place_.logs(team) / "archive"})
                if (fs::exists(folder)) folders.push_back(folder);
        for (const fs::path &folder : folders)
            for (const fs::directory_entry &entry : fs::directory_iterator(folder)) {
                const std::string name = entry.path().filename();
                if (!name.starts_with(".") || kept.contains(name)) continue;
                demand(name == ".ops" && fs::is_empty(entry.path()), entry.path().lexically_relative(place_.root()).string() + " was left");
            }
    }

    const Operation &operation_;
    Place place_;
    bool started_archived_;
    bool gone_ = false;       ///< the target was seen to be removed
    bool was_done_ = false;   ///< the target was seen to be changed
    int64_t created_ = 0;
};

}  // namespace support
