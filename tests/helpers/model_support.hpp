// What the randomized and exhaustive tests of process control share.
#pragma once

#include "support.hpp"

#include <set>
#include <sstream>

namespace support {

inline std::string helper(const char *name)
{
    const char *folder = ::getenv("LITBUILD_HELPER_DIR");
    BOOST_REQUIRE_MESSAGE(folder, "LITBUILD_HELPER_DIR is not set");
    return std::string(folder) + "/" + name;
}

inline bool is_long()
{
    const char *text = ::getenv("LITBUILD_TEST_LONG");
    return text && *text;
}

/// A root in memory where there is one: what is tested by the thousand should not wait for a disk.
class QuickRoot {
public:
    QuickRoot()
    {
        for (const char *place : {"/dev/shm", "/tmp"}) {
            std::string name = std::string(place) + "/litbuild-test-XXXXXX";
            if (!::mkdtemp(name.data())) continue;
            path_ = name;
            return;
        }
        throw std::runtime_error("mkdtemp");
    }
    ~QuickRoot()
    {
        std::error_code error;
        fs::remove_all(path_, error);
    }
    QuickRoot(const QuickRoot &) = delete;
    QuickRoot &operator=(const QuickRoot &) = delete;
    const fs::path &path() const { return path_; }

private:
    fs::path path_;
};

/// How many events of a build tell its end. Throws where a line is damaged, unless it is the last: its writer was killed.
inline size_t terminal_events(const litbuild::Build &build)
{
    std::istringstream lines(slurp(build.path() / "events.jsonl"));
    size_t count = 0;
    for (std::string line; std::getline(lines, line);) {
        boost::system::error_code error;
        const boost::json::value event = boost::json::parse(line, error);
        if (error && lines.peek() == EOF) break;
        if (error) throw std::runtime_error("a damaged event: " + line);
        const auto state = litbuild::parse_state(std::string_view(event.at("state").as_string()));
        if (state && is_terminal(*state)) ++count;
    }
    return count;
}

/// Folders named `litbuild` in every hierarchy: where groups of builds are made.
inline const std::set<fs::path> &group_bases()
{
    static const std::set<fs::path> bases = [] {
        std::set<fs::path> out;
        std::istringstream lines(slurp("/proc/self/mountinfo"));
        for (std::string line; std::getline(lines, line);) {
            const size_t dash = line.find(" - cgroup");
            if (dash == std::string::npos) continue;
            std::istringstream fields(line.substr(0, dash));
            std::string mount;
            for (int i = 0; i < 5; ++i) fields >> mount;
            std::istringstream own(slurp("/proc/self/cgroup"));
            for (std::string group; std::getline(own, group);)
                for (const std::string &place : {mount, mount + group.substr(group.rfind(':') + 1)})
                    out.insert((fs::path(place) / "litbuild").lexically_normal());
        }
        return out;
    }();
    return bases;
}

/// Groups that were made for one of these builds and are still there.
inline std::vector<std::string> groups_of(const std::set<std::string> &uuids)
{
    std::vector<std::string> out;
    for (const fs::path &base : group_bases()) {
        std::error_code error;
        for (const fs::directory_entry &entry : fs::directory_iterator(base, error))
            if (uuids.contains(entry.path().filename().string().substr(0, 36))) out.push_back(entry.path());
    }
    return out;
}

}  // namespace support
