// The manifest beside a plugin. Nothing is loaded to find out what it says.
#include "plugins.hpp"

#include "../folder.hpp"

using namespace litbuild;

FUZZ_TARGET(manifest)
{
    static const fuzz::Folder folder;
    folder.put("plugin.json", input);
    const detail::Registry registry({}, {folder.path()});
    for (const detail::Candidate &candidate : registry.all()) {
        const std::string library = candidate.info.file.filename();
        if (!candidate.problem) fuzz::must(!candidate.info.name.empty() && candidate.info.file.parent_path() == folder.path() && library.front() != '.', "a library lies beside its manifest");
    }
}
