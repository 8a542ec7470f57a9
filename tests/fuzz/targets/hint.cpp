// The file `.next`, through a store that makes a build beside one that is there already.
#include <folder-store/folder_store.hpp>
#include <folder-store/posix_fs.hpp>

#include "../folder.hpp"

using namespace litbuild;

FUZZ_TARGET(hint)
{
    static const fuzz::Folder folder;
    static folder::FolderStore store(std::make_unique<folder::PosixFs>(folder.path().string()));
    folder.put("contoso/logs/41/data", "x");
    folder.put("contoso/logs/.next", input);
    int64_t runid = 0;
    try {
        runid = store.create(Call(), {"contoso", "00000000-0000-4000-8000-000000000000", "{}", {}}).runid;
    } catch (const Error &e) {
        fuzz::must(e.code() == Code::no_space, "a hint keeps nobody from making a build");
        return;
    }
    fuzz::must(runid >= 1 && runid != 41, "a run id is above 0 and nobody else's");
    int64_t seen = 0;
    store.list(Call(), {"contoso", Scope::all}, [&](const Entry &entry) {
        seen += entry.runid == runid || entry.runid == 41;
        return true;
    });
    fuzz::must(seen == 2, "both are listed");
    std::filesystem::remove_all(folder.path() / "contoso/logs" / std::to_string(runid));
}
