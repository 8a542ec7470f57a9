// nfs_worker ROOT HOST PROCESSES SEED SECONDS JOURNALS: processes of one of several hosts that work on the builds of one team:
// create, archive, restore, remove, tag, read and list, at random. Each notes what it was told is done, in a journal of its own
// (JOURNALS/HOST-PROCESS), for who looks at the disk in the end:
//
//     made ID UUID    tag ID WORD    removing ID    removed ID    wrong SENTENCE    done COUNT
//
// A build is removed by the process alone that has made it; anybody archives, restores and tags it. The locks are those of
// the plugin, so that no tag is lost.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <map>
#include <random>
#include <set>

#include <litbuild/linux/descriptor.hpp>

#include <folder-store/folder_store.hpp>

#include <nfs/way_in.hpp>

using namespace litbuild;

namespace {

class Worker {
public:
    Worker(const std::string &root, const std::string &name, uint64_t seed, const std::string &journal)
        : name_(name), random_(seed),
          journal_(::open(journal.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666)),
          store_(nfs::open_root("{\"root\":\"" + root + "\"}", nfs::Purpose::open))
    {
    }

    void work(Clock::time_point end)
    {
        while (Clock::now() < end) {
            const uint64_t roll = random_() % 100;
            try {
                if (roll < 20) make();
                else if (roll < 40) move();
                else if (roll < 47) remove();
                else if (roll < 65) tag();
                else if (roll < 90) look();
                else list();
                ++done_;
            } catch (const Error &e) {
                // What a server that is away may answer, and builds of others that are moved or gone.
                const bool is_away = e.code() == Code::unavailable || e.code() == Code::timeout;
                if (!is_away && !(is_of_others_ && e.code() == Code::not_found))
                    note("wrong " + std::to_string(roll) + ": " + name(e.code()) + ": " + e.what());
                else ++away_;
            }
        }
        settle();
        note("done " + std::to_string(done_) + " " + std::to_string(away_));
    }

private:
    Call call() const { return Call::within(std::chrono::seconds(20)); }

    void note(const std::string &line)
    {
        const std::string text = line + "\n";
        (void)!::write(journal_.get(), text.data(), text.size());
    }
    BuildName some_of_mine()
    {
        is_of_others_ = false;
        if (mine_.empty()) throw Error(Code::unavailable, "no build yet");
        auto at = mine_.begin();
        std::advance(at, static_cast<ptrdiff_t>(random_() % mine_.size()));
        return {"contoso", at->first};
    }
    BuildName some_build()
    {
        is_of_others_ = true;
        if (seen_.empty()) list();
        is_of_others_ = true;
        if (seen_.empty()) throw Error(Code::unavailable, "no build yet");
        return {"contoso", seen_[random_() % std::min<size_t>(seen_.size(), 12)]};
    }

    void make()
    {
        is_of_others_ = false;
        char uuid[48];
        std::snprintf(uuid, sizeof uuid, "%08x-%04x-4000-8000-%012x", ++number_, static_cast<unsigned>(random_() & 0xffff),
                      static_cast<unsigned>(::getpid()));
        const std::string id = name_ + "-" + uuid;
        const Entry entry = store_.create(call(), {"contoso", uuid, std::string("{\"uuid\":\"") + uuid + "\"}", {{"data", id}}});
        note("made " + std::to_string(entry.runid) + " " + id);
        mine_[entry.runid] = id;
    }
    // What the server did after its caller had given it up is looked after when the next build is made.
    void settle()
    {
        for (int i = 0; i < 10; ++i) {
            try {
                return make();
            } catch (const Error &e) {
                if (e.code() != Code::unavailable && e.code() != Code::timeout) return note("wrong end: " + std::string(e.what()));
            }
        }
    }
    void move()
    {
        const BuildName build = some_build();
        if (random_() % 2 == 0) store_.archive(call(), build);
        else store_.restore(call(), build);
    }
    void remove()
    {
        const BuildName build = some_of_mine();
        note("removing " + std::to_string(build.runid));
        mine_.erase(build.runid);
        for (int i = 0;; ++i) {
            try {
                store_.archive(call(), build);
                store_.remove(call(), build);
                break;
            } catch (const Error &e) {
                // Only what is left of it could not be cleared.
                if (std::string_view(e.what()).find(": is removed") != std::string_view::npos) break;
                if (i == 20 || (e.code() != Code::refused && e.code() != Code::unavailable)) throw;
            }
        }
        note("removed " + std::to_string(build.runid));
    }
    void tag()
    {
        const BuildName build = random_() % 2 == 0 ? some_of_mine() : some_build();
        const std::string word = name_ + "-" + std::to_string(++number_);
        const std::string one[] = {word};
        store_.edit_tags(call(), build, one, {});
        note("tag " + std::to_string(build.runid) + " " + word);
    }
    void look()
    {
        const bool own = random_() % 2 == 0 && !mine_.empty();
        const BuildName build = own ? some_of_mine() : some_build();
        std::string text;
        store_.find(call(), build);
        store_.read(call(), build, "data", 0, 0, [&](std::string_view piece) {
            text += piece;
            return true;
        });
        if (own && text != mine_[build.runid]) note("wrong " + to_string(build) + ": its data is " + text);
    }
    void list()
    {
        is_of_others_ = true;
        std::vector<int64_t> found;
        store_.list(call(), {"contoso", Scope::all}, [&](const Entry &entry) {
            found.push_back(entry.runid);
            return true;
        });
        const std::set<int64_t> all(found.begin(), found.end());
        if (all.size() != found.size()) note("wrong list: shows a build twice");
        for (const auto &[runid, id] : mine_)
            if (!all.contains(runid)) note("wrong list: does not show " + std::to_string(runid));
        seen_ = found;
    }

    std::string name_;
    std::mt19937_64 random_;
    linux_::Descriptor journal_;
    folder::FolderStore store_;
    std::map<int64_t, std::string> mine_;
    std::vector<int64_t> seen_;
    bool is_of_others_ = false;
    unsigned number_ = 0;
    uint64_t done_ = 0, away_ = 0;
};

}  // namespace

int main(int argc, char **argv)
{
    if (argc != 7) return 2;
    const int processes = std::atoi(argv[3]);
    const Clock::time_point end = Clock::now() + std::chrono::seconds(std::atoi(argv[5]));
    for (int i = 0; i < processes; ++i) {
        const pid_t child = ::fork();
        if (child < 0) return 3;
        if (child > 0) continue;
        const std::string name = std::string(argv[2]) + "-" + std::to_string(i);
        try {
            const uint64_t seed = std::stoull(argv[4]);
            Worker(argv[1], name, seed + static_cast<unsigned>(i), std::string(argv[6]) + "/" + name).work(end);
        } catch (const std::exception &e) {
            std::fprintf(stderr, "%s: %s\n", name.c_str(), e.what());
            ::_exit(1);
        }
        ::_exit(0);
    }
    int failed = 0;
    for (int status; ::wait(&status) > 0;) failed += status != 0;
    return failed == 0 ? 0 : 1;
}
