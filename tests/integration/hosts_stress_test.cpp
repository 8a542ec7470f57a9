// Two hosts, by NFS 3 and by NFS 4.2, whose processes work on the builds of one team at random, while the server is killed and
// started again every few seconds: in the end the disk holds what they were told, each build once, and nothing else.
//
// Twenty seconds in the short form, ten minutes in the long one; LITBUILD_TEST_SECONDS says otherwise, LITBUILD_TEST_SEED
// repeats the choices (not how they meet).
#define BOOST_TEST_MODULE hosts_stress
#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>

#include <cstdio>
#include <map>
#include <random>
#include <set>
#include <sstream>
#include <thread>

#include <folder-store/folder_store.hpp>
#include <folder-store/posix_fs.hpp>

#include "support.hpp"
#include <uml/hosts.hpp>

using namespace std::chrono_literals;
using namespace litbuild;
namespace fs = std::filesystem;

namespace {

constexpr int processes = 4;   // of each host

struct Told {
    std::map<int64_t, std::string> made;
    std::map<int64_t, std::set<std::string>> tags;
    std::set<int64_t> removing, removed;
    uint64_t done = 0, away = 0;
};

Told read_journals(const fs::path &folder)
{
    Told told;
    for (const auto &item : fs::directory_iterator(folder)) {
        std::ifstream in(item.path());
        for (std::string line, word; std::getline(in, line);) {
            std::istringstream words(line);
            int64_t runid = 0;
            std::string rest;
            words >> word;
            if (word == "wrong") BOOST_ERROR(item.path().filename().string() << ": " << line);
            else if (word == "done") {
                uint64_t done = 0, away = 0;
                words >> done >> away;
                told.done += done;
                told.away += away;
            } else if (words >> runid; word == "removing") told.removing.insert(runid);
            else if (word == "removed") told.removed.insert(runid);
            else if (words >> rest; word == "tag") told.tags[runid].insert(rest);
            else if (word == "made" && !told.made.emplace(runid, rest).second) BOOST_ERROR(runid << " was given twice");
        }
    }
    return told;
}

std::string text_of(BuildStore &store, const BuildName &build, const char *name)
{
    std::string out;
    store.read(Call(), build, name, 0, 0, [&](std::string_view piece) {
        out += piece;
        return true;
    });
    return out;
}

/// What lies where a build was removed: the same one, or another under its run id.
std::string found_at(const fs::path &logs, int64_t runid, const std::string &id)
{
    std::string out;
    for (const fs::path &folder : {logs / std::to_string(runid), logs / "archive" / std::to_string(runid)})
        if (fs::exists(folder))
            out += " " + folder.string() + ", made as " + id + ", with the data " + support::slurp(folder / "data") + " and " +
                   support::slurp(folder / "build.json");
    return out;
}

void look_at_all(const fs::path &root, const Told &told)
{
    folder::FolderStore store(std::make_unique<folder::PosixFs>(root.string()));
    const fs::path logs = root / "contoso/logs";
    for (const auto &[runid, id] : told.made) {
        const int places = fs::exists(logs / std::to_string(runid)) + fs::exists(logs / "archive" / std::to_string(runid));
        if (told.removed.contains(runid)) BOOST_TEST(places == 0, runid << " was removed, and is there:" << found_at(logs, runid, id));
        else if (told.removing.contains(runid)) BOOST_TEST(places <= 1, runid << " is in both places");
        else BOOST_TEST(places == 1, runid << " is in " << places << " places");
        if (places != 1 || told.removing.contains(runid)) continue;
        const BuildName build{"contoso", runid};
        BOOST_TEST(text_of(store, build, "data") == id);
        const std::vector<std::string> tags = store.tags(Call(), build);
        const auto wanted = told.tags.find(runid);
        if (wanted == told.tags.end()) continue;
        for (const std::string &tag : wanted->second)
            BOOST_TEST((std::find(tags.begin(), tags.end(), tag) != tags.end()), runid << " has lost the tag " << tag);
    }
    std::set<std::string> identities;
    store.list(Call(), {"contoso", Scope::all}, [&](const Entry &entry) {
        const std::string document = text_of(store, {"contoso", entry.runid}, "build.json");
        BOOST_TEST(identities.insert(document).second, entry.path << ": another build has its identity");
        return true;
    });
}

}  // namespace

BOOST_AUTO_TEST_CASE(hosts_work_while_the_server_comes_and_goes)
{
    std::string why = uml::missing();
    if (why.empty()) why = uml::own_network();
    if (!why.empty()) {
        std::printf("SKIPPED: hosts_stress: %s\n", why.c_str());
        return;
    }
    const auto number = [](const char *name, uint64_t otherwise) {
        const char *text = ::getenv(name);
        return text && *text ? std::stoull(text) : otherwise;
    };
    const bool is_long = ::getenv("LITBUILD_TEST_LONG") && *::getenv("LITBUILD_TEST_LONG");
    const uint64_t seconds = number("LITBUILD_TEST_SECONDS", is_long ? 600 : 20);
    const uint64_t seed = number("LITBUILD_TEST_SEED", std::random_device()());
    const support::TempRoot root;
    const fs::path journals = root.path() / "journals";
    fs::create_directories(journals);
    uml::Server server(root.path(), root.path() / "server");
    uml::HostOf alpha(server, root.path(), "alpha", 1, "3"), beta(server, root.path(), "beta", 2, "4.2");
    std::vector<int> at_work;
    for (uml::HostOf *host : {&alpha, &beta}) host->boot();
    for (uml::HostOf *host : {&alpha, &beta})
        at_work.push_back(host->begin("exec $HELPERS/nfs_worker /run/data " + std::string(host == &alpha ? "alpha " : "beta ") +
                                      std::to_string(processes) + " " + std::to_string(seed + (host == &alpha ? 0 : 1000)) + " " +
                                      std::to_string(seconds) + " " + uml::quoted(journals.string())));
    std::mt19937_64 random(seed);
    const auto end = Clock::now() + std::chrono::seconds(seconds);
    int killed = 0;
    while (Clock::now() < end) {
        std::this_thread::sleep_for(std::chrono::milliseconds(2500 + random() % 2500));
        server.kill();
        ++killed;
        std::this_thread::sleep_for(std::chrono::milliseconds(random() % 500));
        server.start();
    }
    BOOST_TEST(alpha.wait(at_work[0], 180s).status == 0, alpha.output(at_work[0]));
    BOOST_TEST(beta.wait(at_work[1], 180s).status == 0, beta.output(at_work[1]));
    const Told told = read_journals(journals);
    look_at_all(server.folder(), told);
    std::printf("2 hosts of %d processes, %d s, server killed %d times: %zu builds made, %zu removed, %llu operations, %llu "
                "refused while it was away, seed %llu\n",
                processes, static_cast<int>(seconds), killed, told.made.size(), told.removed.size(),
                static_cast<unsigned long long>(told.done), static_cast<unsigned long long>(told.away),
                static_cast<unsigned long long>(seed));
    BOOST_TEST(told.made.size() > 0u);
}
