// A root with a few builds of known content, and an oracle that knows what must still be there whatever broke off.
//
// contoso/1 is live, contoso/2 archived; contoso/3 is the one that things are done to. Its folder holds all that a tree can
// hold. What is checked is checked through a store that was opened for it, and by the files themselves.
#pragma once

#include <sched.h>
#include <sys/mount.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <set>

#include "store/act.hpp"
#include "store/tree.hpp"

namespace support {

struct Wrong : std::runtime_error {
    using std::runtime_error::runtime_error;
};

inline void demand(bool good, const std::string &what)
{
    if (!good) throw Wrong(what);
}

/// A file system in memory that only this process and its children see; it goes with them. Without the right to mount:
/// a folder.
class Ground {
public:
    static const Ground &get()
    {
        static const Ground ground;
        return ground;
    }
    const fs::path &path() const { return folder_.path(); }
    bool can_mount() const { return mounted_; }

private:
    Ground()
    {
        mounted_ = ::unshare(CLONE_NEWNS) == 0 && ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                   ::mount("none", path().c_str(), "tmpfs", 0, "mode=755") == 0;
    }
    ~Ground()
    {
        if (mounted_) ::umount2(path().c_str(), MNT_DETACH);
    }
    TempRoot folder_;
    bool mounted_ = false;
};

/// A build as it was made, and where it belongs.
struct Known {
    std::string uuid;
    bool archived = false;
    std::vector<std::string> tags;
    Manifest tree;
};

using Builds = std::map<int64_t, Known>;

class Place {
public:
    static constexpr const char *team = "contoso";
    static constexpr int64_t target = target_runid;

    Place(Archive archive, bool target_is_archived) : archive_(archive)
    {
        static int count = 0;
        root_ = Ground::get().path() / std::to_string(++count);
        fs::create_directory(root_);
        const Stored store = open();
        add(store, {"red"});
        if (archive == Archive::elsewhere) {
            fs::create_directory(logs() / "archive");
            if (::mount("none", (logs() / "archive").c_str(), "tmpfs", 0, "mode=755") != 0) throw std::runtime_error("mount");
        }
        add(store, {"green"});
        add(store, {"blue", "cyan"});
        move(2);
        if (target_is_archived) move(target);
        grow_tree(folder(target));
        known[target].tree = describe(folder(target));
    }
    ~Place()
    {
        if (archive_ == Archive::elsewhere) ::umount2((logs() / "archive").c_str(), MNT_DETACH);
        std::error_code error;
        fs::remove_all(root_, error);
    }
    Place(const Place &) = delete;
    Place &operator=(const Place &) = delete;

    const fs::path &root() const { return root_; }
    fs::path logs(const std::string &of = team) const { return root_ / of / "logs"; }
    /// Where a build of contoso must be.
    fs::path folder(int64_t runid) const
    {
        return (known.at(runid).archived ? logs() / "archive" : logs()) / std::to_string(runid);
    }

    Stored open() const { return open_store(root_); }

    /// A build is made, and never under an id that was given before; from here on it must not be lost.
    int64_t add_new(const Stored &store, const std::string &of = team)
    {
        const litbuild::Entry entry = store->create(litbuild::Call(), draft(of, ++numbers_));
        demand(given.insert({of, entry.runid}).second, of + "/" + std::to_string(entry.runid) + " was given twice");
        for (const auto &[team_given, runid] : given)
            demand(team_given != of || runid <= entry.runid, "the new id " + std::to_string(entry.runid) + " is below " + std::to_string(runid));
        const fs::path folder = logs(of) / std::to_string(entry.runid);
        adopt(of, entry.runid, uuid_of(numbers_), folder);
        return entry.runid;
    }

    /// Whole, as create() promises; from here on it is known.
    void adopt(const std::string &of, int64_t runid, const std::string &uuid, const fs::path &folder)
    {
        const litbuild::NewBuild made = draft(of, std::stoi(uuid));
        boost::system::error_code error;
        const boost::json::value document = boost::json::parse(slurp(folder / "build.json"), error);
        const std::string name = of + "/" + std::to_string(runid);
        demand(!error && document.is_object(), name + ": build.json is not whole");
        demand(document.at("runid") == runid && document.at("uuid") == uuid.c_str() && document.at("created") == "2024-05-01T08:00:00Z",
               name + ": build.json is another's: " + boost::json::serialize(document));
        for (const auto &[file, content] : made.files) demand(slurp(folder / file) == content, name + ": " + file + " is not whole");
        demand(fs::is_directory(folder / ".control"), name + ": has no .control");
        Manifest tree = describe(folder);
        std::set<std::string> own = {"", "build.json"};
        for (const auto &[file, content] : made.files) own.insert(file);
        for (const auto &[file, line] : tree)
            demand(own.contains(file) || file.starts_with(".control"), name + ": '" + file + "' was never given to it");
        given.insert({of, runid});
        (of == team ? known : others)[runid] = {uuid, false, {"new"}, std::move(tree)};
    }

    /// Builds of contoso that must be there.
    Builds known;
    /// Builds of fabrikam, a team that is made meanwhile.
    Builds others;
    /// Every id that was ever given.
    std::set<std::pair<std::string, int64_t>> given;

private:
    void add(const Stored &store, const std::vector<std::string> &tags)
    {
        const int64_t runid = add_new(store);
        const litbuild::BuildName name{team, runid};
        const std::vector<std::string> old = {"new"};
        store->edit_tags(litbuild::Call(), name, tags, old);
        known[runid].tags = tags;
        known[runid].tree = describe(logs() / std::to_string(runid));
    }
    /// By hand: what is tested is not to prepare its own test. Only plain files so far.
    void move(int64_t runid)
    {
        const fs::path from = folder(runid);
        known[runid].archived = true;
        fs::create_directories(logs() / "archive");
        fs::copy(from, folder(runid), fs::copy_options::recursive);
        fs::remove_all(from);
        known[runid].tree = describe(folder(runid));
    }

    Archive archive_;
    fs::path root_;
    int numbers_ = 0;
};

}  // namespace support
