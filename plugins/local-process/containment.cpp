#include "containment.hpp"

#include <sys/sysinfo.h>

#include <map>
#include <sstream>

#include <boost/json.hpp>

#include <litbuild/linux/cgroup.hpp>

namespace local_process {

using litbuild::linux_::Cgroup;
using litbuild::linux_::slurp;

namespace {

/// Mount points of the hierarchies by controller; version 2 under "".
std::map<std::string, std::string> mounts()
{
    std::map<std::string, std::string> out;
    std::istringstream lines(slurp("/proc/self/mountinfo").value_or(""));
    std::string line;
    while (std::getline(lines, line)) {
        const size_t dash = line.find(" - ");
        if (dash == std::string::npos) continue;
        std::istringstream head(line.substr(0, dash));
        std::istringstream tail(line.substr(dash + 3));
        std::string word, point, kind, source, options;
        for (int i = 0; i < 5; ++i) head >> (i == 4 ? point : word);
        tail >> kind >> source >> options;
        if (kind == "cgroup2") out.emplace("", point);
        if (kind != "cgroup") continue;
        std::istringstream names(options);
        while (std::getline(names, word, ',')) out.emplace(word, point);
    }
    return out;
}

/// The group that this process is in, by controller; version 2 under "".
std::map<std::string, std::string> own_groups()
{
    std::map<std::string, std::string> out;
    std::istringstream lines(slurp("/proc/self/cgroup").value_or(""));
    std::string line;
    while (std::getline(lines, line)) {
        const size_t first = line.find(':');
        const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
        if (second == std::string::npos) continue;
        const std::string path = line.substr(second + 1);
        std::istringstream names(line.substr(first + 1, second - first - 1));
        std::string name;
        if (first + 1 == second) out[""] = path;
        while (std::getline(names, name, ',')) out[name] = path;
    }
    return out;
}

std::string below(const std::string &mount, const std::string &group)
{
    return mount + (group == "/" ? "" : group) + "/litbuild";
}

constexpr int most_attempts = 8;

std::string group_name(const std::string &base, const std::string &uuid, int attempt)
{
    return base + "/" + uuid + "." + std::to_string(attempt);
}

bool set(const std::string &group, const char *file, uint64_t value)
{
    return Cgroup::open(group).write(file, std::to_string(value));
}

}  // namespace

Containers::Containers(std::string wanted)
{
    if (wanted == "none") return;
    const std::map<std::string, std::string> points = mounts();
    const std::map<std::string, std::string> own = own_groups();
    const auto own_of = [&](const std::string &name) {
        const auto found = own.find(name);
        return found == own.end() ? std::string("/") : found->second;
    };
    if (wanted != "auto") kill_bases_.push_back(wanted);
    if (const auto found = points.find(""); found != points.end() && wanted == "auto") {
        // At the top first: below our own group a build would be ended together with the service that launched it.
        kill_bases_.push_back(below(found->second, "/"));
        kill_bases_.push_back(below(found->second, own_of("")));
    }
    if (const auto found = points.find("pids"); found != points.end())
        pids_bases_.push_back(below(found->second, own_of("pids")));
    if (const auto found = points.find("memory"); found != points.end())
        memory_bases_.push_back(below(found->second, own_of("memory")));
}

std::string Containers::make_in_one_of(const std::vector<std::string> &bases, const std::string &uuid,
                                       bool must_kill) const
{
    for (const std::string &base : bases) {
        ::mkdir(base.c_str(), 0755);
        // A group is used once: where one of that name is left over, the next name is taken.
        for (int attempt = 1; attempt <= most_attempts; ++attempt) {
            const std::string path = group_name(base, uuid, attempt);
            Cgroup group = Cgroup::make(path);
            if (!group && errno == EEXIST) continue;
            if (!group) break;
            if (!must_kill || group.can_kill()) return path;
            group.remove();
            break;
        }
    }
    return "";
}

Containment Containers::make(const std::string &uuid, const Limits &limits, bool isolated) const
{
    Containment out;
    boost::json::object had;
    out.kill_group = make_in_one_of(kill_bases_, uuid, true);
    if (!out.kill_group.empty()) {
        out.kill_group_inode = Cgroup::open(out.kill_group).inode();
        out.groups.push_back(out.kill_group);
    }
    const auto note = [&](const char *name, uint64_t value, const char *by) {
        had[name] = {{"value", value}, {"by", by}};
    };
    // A limit of the version 2 group itself, where its controller is handed down; else a version 1 group; else an rlimit.
    const auto limited = [&](const char *name, uint64_t value, const char *file2, const char *file1,
                             const std::vector<std::string> &bases1) {
        if (value == 0) return true;
        if (!out.kill_group.empty() && set(out.kill_group, file2, value)) {
            note(name, value, "cgroup2");
            return true;
        }
        const std::string group = make_in_one_of(bases1, uuid, false);
        if (group.empty()) return false;
        out.groups.push_back(group);
        if (!set(group, file1, value)) return false;
        note(name, value, "cgroup1");
        return true;
    };
    if (!limited("processes", limits.processes, "pids.max", "pids.max", pids_bases_)) {
        // The kernel counts all processes of the user here, not only the build's: those of today are added on top.
        struct sysinfo now{};
        ::sysinfo(&now);
        out.rlimits.push_back("nproc=" + std::to_string(limits.processes + now.procs));
        note("processes", limits.processes, ::geteuid() == 0 ? "nothing: rlimits do not bind root" : "rlimit of the user");
    }
    if (limited("memory", limits.memory_bytes, "memory.max", "memory.limit_in_bytes", memory_bases_)) {
        // With swap on top the limit would be none. Not every kernel has these.
        for (const std::string &group : out.groups)
            if (limits.memory_bytes > 0 && !set(group, "memory.swap.max", 0))
                (void)set(group, "memory.memsw.limit_in_bytes", limits.memory_bytes);
    } else {
        out.rlimits.push_back("as=" + std::to_string(limits.memory_bytes));
        note("memory", limits.memory_bytes, "rlimit of each process");
    }
    if (limits.cpu_ms > 0) {
        out.rlimits.push_back("cpu=" + std::to_string((limits.cpu_ms + 999) / 1000));
        note("cpu_time", limits.cpu_ms, "rlimit of each process");
    }
    boost::json::object detail;
    detail["containment"] = isolated ? "pid-namespace" : out.kill_group.empty() ? "subreaper" : "cgroup";
    if (!had.empty()) detail["limits"] = had;
    out.detail = boost::json::serialize(detail);
    return out;
}

std::vector<std::string> Containers::groups_of(const std::string &uuid) const
{
    std::vector<std::string> out;
    for (const std::vector<std::string> *bases : {&kill_bases_, &pids_bases_, &memory_bases_})
        for (const std::string &base : *bases)
            for (int attempt = 1; attempt <= most_attempts; ++attempt)
                if (const std::string path = group_name(base, uuid, attempt); ::access(path.c_str(), F_OK) == 0)
                    out.push_back(path);
    return out;
}

void Containers::remove(const std::vector<std::string> &groups)
{
    for (const std::string &group : groups) Cgroup::open(group).remove();
}

}  // namespace local_process
