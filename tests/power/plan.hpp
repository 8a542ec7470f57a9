// What is done to a store while its disks remember, and what must be found after a power cut at any moment of it.
#pragma once

#include <sys/stat.h>
#include <sys/xattr.h>

#include <map>
#include <optional>
#include <set>
#include <thread>

#include <folder-store/folder_store.hpp>
#include <folder-store/posix_fs.hpp>

#include <power/disks.hpp>

namespace power {

using namespace litbuild;

enum class Act {
    create,
    fill,      ///< the build writes its asset, and syncs it
    archive,
    restore,
    tag,
    untag,
    control,   ///< a control file named `text`
    remove,
};

struct Op {
    Act act;
    int build;
    std::string text = "";   ///< a tag, a name
};

/// Lanes run at once, the operations of each in order. A build belongs to one lane.
using Plan = std::vector<std::vector<Op>>;

inline const char *name(Act act)
{
    constexpr const char *names[] = {"create", "fill", "archive", "restore", "tag", "untag", "control", "remove"};
    return names[static_cast<size_t>(act)];
}

// ------------------------------------------------------------------------------------- what a build consists of

constexpr const char *team = "contoso";

inline std::string uuid_of(int build)
{
    char text[48];
    std::snprintf(text, sizeof text, "%08x-0000-4000-8000-000000000000", static_cast<unsigned>(build));
    return text;
}

/// Text that is nobody else's, of a length that fits no block.
inline std::string payload(int build, size_t length)
{
    std::string out;
    for (unsigned i = 0; out.size() < length; ++i) out += std::to_string(build) + ":" + std::to_string(i * 2654435761u) + "\n";
    out.resize(length);
    return out;
}

inline std::vector<std::pair<std::string, std::string>> files_of(int build)
{
    return {{"events.jsonl", "{\"seq\":1,\"time\":\"2026-01-01T00:00:00Z\",\"type\":\"queued\",\"state\":\"queued\",\"steps\":[],\"build\":" +
                                 std::to_string(build) + "}\n"},
            {"tags", "first"},
            {"spec", payload(build, 9001)}};
}

inline std::string control_of(int build, const std::string &name) { return payload(build, 700) + name; }

constexpr timespec asset_time{1'234'567'890, 123'456'789};

/// What the build itself writes: a file, two links to it, one with a hole, times, a mode, an extended attribute.
inline void write_asset(const fs::path &folder, int build)
{
    const auto put = [](const fs::path &file, const std::string &content, off_t at) {
        const Descriptor fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0640));
        must(fd && ::pwrite(fd.get(), content.data(), content.size(), at) == static_cast<ssize_t>(content.size()), file);
    };
    fs::create_directories(folder / "out/deep");
    put(folder / "out/asset", payload(build, 70'001), 0);
    put(folder / "out/deep/sparse", "end", 300'000);
    fs::create_hard_link(folder / "out/asset", folder / "out/deep/hard");
    fs::create_symlink("../asset", folder / "out/deep/soft");
    must(::setxattr((folder / "out/asset").c_str(), "user.origin", "raw", 3, 0) == 0, "extended attribute");
    const timespec times[] = {asset_time, asset_time};
    must(::utimensat(AT_FDCWD, (folder / "out/asset").c_str(), times, 0) == 0, "times");
    const Descriptor fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    must(fd && ::syncfs(fd.get()) == 0, "syncfs");
}

/// The first thing that is wrong; empty: nothing.
inline std::string wrong_with_asset(const fs::path &folder, int build)
{
    const auto text = [](const fs::path &file) {
        std::string out;
        char piece[8192];
        const Descriptor fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
        for (ssize_t got; fd && (got = ::read(fd.get(), piece, sizeof piece)) > 0;) out.append(piece, static_cast<size_t>(got));
        return out;
    };
    struct stat asset, hard, sparse;
    if (::lstat((folder / "out/asset").c_str(), &asset) != 0 || ::lstat((folder / "out/deep/hard").c_str(), &hard) != 0 ||
        ::lstat((folder / "out/deep/sparse").c_str(), &sparse) != 0)
        return "a file of the asset is missing";
    if (text(folder / "out/asset") != payload(build, 70'001)) return "out/asset is damaged";
    if (text(folder / "out/deep/sparse") != std::string(300'000, '\0') + "end") return "out/deep/sparse is damaged";
    if (asset.st_ino != hard.st_ino || asset.st_nlink != 2) return "out/deep/hard is no longer the same file as out/asset";
    if (sparse.st_blocks * 512 > 200'000) return "out/deep/sparse has lost its hole";
    if ((asset.st_mode & 07777) != 0640) return "out/asset has another mode";
    if (asset.st_mtim.tv_sec != asset_time.tv_sec || asset.st_mtim.tv_nsec != asset_time.tv_nsec) return "out/asset has another time";
    std::error_code error;
    if (fs::read_symlink(folder / "out/deep/soft", error) != "../asset") return "out/deep/soft is no such link";
    char value[8];
    if (::getxattr((folder / "out/asset").c_str(), "user.origin", value, sizeof value) != 3) return "out/asset has lost its attribute";
    return "";
}

// -------------------------------------------------------------------------------------------------- running it

/// Of one operation. The positions are those of the log as it began and as it returned; `end` 0: it has not returned.
struct Outcome {
    uint64_t begin, end;
    bool begun;
    bool failed;
    int64_t runid;   ///< of create
    char error[300];
};

using Outcomes = Shared<Outcome[64]>;   ///< [lane][operation]
constexpr size_t most_ops = 64;

inline std::unique_ptr<BuildStore> open_store(const fs::path &root)
{
    return std::make_unique<folder::FolderStore>(std::make_unique<folder::PosixFs>(root.string()));
}

inline void run_lane(BuildStore &store, const Disks &disks, const std::vector<Op> &lane, Outcome *outcomes)
{
    std::map<int, int64_t> runids;
    for (size_t i = 0; i < lane.size(); ++i) {
        const Op &op = lane[i];
        Outcome &outcome = outcomes[i];
        outcome.begin = disks.position();
        outcome.begun = true;
        try {
            const Call call;
            const BuildName build{team, runids[op.build]};
            const std::vector<std::string> word{op.text};
            switch (op.act) {
            case Act::create: {
                const std::string document = "{\"uuid\":\"" + uuid_of(op.build) + "\"}";
                runids[op.build] = outcome.runid = store.create(call, {team, uuid_of(op.build), document, files_of(op.build)}).runid;
                break;
            }
            case Act::fill: write_asset(store.find(call, build).path, op.build); break;
            case Act::archive: store.archive(call, build); break;
            case Act::restore: store.restore(call, build); break;
            case Act::tag: store.edit_tags(call, build, word, {}); break;
            case Act::untag: store.edit_tags(call, build, {}, word); break;
            case Act::control: store.write_control(call, build, op.text, control_of(op.build, op.text)); break;
            case Act::remove: store.remove(call, build); break;
            }
        } catch (const std::exception &e) {
            outcome.failed = true;
            std::snprintf(outcome.error, sizeof outcome.error, "%s", e.what());
        }
        outcome.end = disks.position();
        if (outcome.failed) return;
    }
}

/// In a process of its own, which is gone when the examination comes, as after a power cut. The first error; empty: none.
inline std::string run_plan(const fs::path &root, const Disks &disks, const Plan &plan, Outcomes &outcomes)
{
    const pid_t child = ::fork();
    must(child >= 0, "fork");
    if (child == 0) {
        const std::unique_ptr<BuildStore> store = open_store(root);
        std::vector<std::thread> lanes;
        for (size_t i = 0; i < plan.size(); ++i)
            lanes.emplace_back([&, i] { run_lane(*store, disks, plan[i], outcomes[i]); });
        for (std::thread &lane : lanes) lane.join();
        ::_exit(0);
    }
    int status = 0;
    must(::waitpid(child, &status, 0) == child, "waitpid");
    if (status != 0) return "the process that used the store ended with " + std::to_string(status);
    for (size_t lane = 0; lane < plan.size(); ++lane)
        for (size_t i = 0; i < plan[lane].size(); ++i)
            if (outcomes[lane][i].failed) return std::string(name(plan[lane][i].act)) + ": " + outcomes[lane][i].error;
    return "";
}

// ------------------------------------------------------------------------------------------------- what must be

struct Want {
    enum Where { nowhere, live, archived } where = nowhere;
    enum Asset { none, any, whole } asset = none;
    std::set<std::string> tags;
    std::set<std::string> controls;

    bool operator==(const Want &) const = default;
};

inline Want after(Want want, const Op &op)
{
    switch (op.act) {
    case Act::create:
        want.where = Want::live;
        want.tags = {"first"};
        break;
    case Act::fill: want.asset = Want::whole; break;
    case Act::archive: want.where = Want::archived; break;
    case Act::restore: want.where = Want::live; break;
    case Act::tag: want.tags.insert(op.text); break;
    case Act::untag: want.tags.erase(op.text); break;
    case Act::control: want.controls.insert(op.text); break;
    case Act::remove: want = {}; break;
    }
    return want;
}

struct Known {
    std::vector<Want> allowed;         ///< one, or two while an operation is under way
    std::optional<int64_t> runid;      ///< once create has returned
    std::string last = "nothing";      ///< the operation that returned last, for messages
};

/// By build, of a power cut at that position.
inline std::map<int, Known> known_at(const Plan &plan, const Outcomes &outcomes, uint64_t position)
{
    std::map<int, Known> out;
    for (size_t lane = 0; lane < plan.size(); ++lane) {
        for (size_t i = 0; i < plan[lane].size(); ++i) {
            const Op &op = plan[lane][i];
            const Outcome &outcome = outcomes[lane][i];
            Known &known = out[op.build];
            if (known.allowed.empty()) known.allowed.push_back({});
            if (!outcome.begun || outcome.begin > position || known.allowed.size() > 1) continue;
            Want &now = known.allowed.front();
            const Want then = after(now, op);
            if (!outcome.failed && outcome.end <= position) {
                now = then;
                if (op.act == Act::create) known.runid = outcome.runid;
                known.last = name(op.act);
                continue;
            }
            known.last += std::string("; under way: ") + name(op.act);
            if (op.act == Act::fill) now.asset = Want::any;
            else known.allowed.push_back(then);
        }
    }
    return out;
}

/// The highest run id that was given out by then.
inline int64_t highest_given(const Plan &plan, const Outcomes &outcomes, uint64_t position)
{
    int64_t out = 0;
    for (size_t lane = 0; lane < plan.size(); ++lane)
        for (size_t i = 0; i < plan[lane].size(); ++i)
            if (outcomes[lane][i].begun && outcomes[lane][i].end <= position) out = std::max(out, outcomes[lane][i].runid);
    return out;
}

}  // namespace power
