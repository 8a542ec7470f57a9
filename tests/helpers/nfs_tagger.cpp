// nfs_tagger CONFIGURATION TEAM RUNID WORD COUNT: gives one build the tags WORD-1 to WORD-COUNT, one after the other, by the
// plugin nfs with that configuration, while others do so, too. A tag of others that is away again is an error.
#include <cstdio>
#include <set>

#include <folder-store/folder_store.hpp>

#include <nfs/way_in.hpp>

using namespace litbuild;

int main(int argc, char **argv)
{
    if (argc != 6) return 2;
    const BuildName build{argv[2], std::atoll(argv[3])};
    try {
        folder::FolderStore store(nfs::open_root(argv[1], nfs::Purpose::open));
        std::set<std::string> seen;
        for (int i = 1; i <= std::atoi(argv[5]); ++i) {
            const std::string tag = std::string(argv[4]) + "-" + std::to_string(i);
            store.edit_tags(Call::within(std::chrono::seconds(60)), build, {&tag, 1}, {});
            seen.insert(tag);
            const std::vector<std::string> told = store.tags(Call::within(std::chrono::seconds(60)), build);
            const std::set<std::string> now(told.begin(), told.end());
            for (const std::string &one : seen)
                if (!now.contains(one)) throw Error(Code::corrupt, one + ": is lost");
            seen = now;
        }
    } catch (const std::exception &e) {
        std::printf("%s: %s\n", argv[4], e.what());
        return 1;
    }
}
