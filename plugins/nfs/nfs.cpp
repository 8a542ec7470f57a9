// The build store on an NFS server, and the status of the builds in it. See README.md.
#include <litbuild/export.hpp>
#include <litbuild/version.hpp>

#include <folder-store/folder_store.hpp>
#include <folder-store/run_status.hpp>

#include <nfs/way_in.hpp>

namespace litbuild::nfs {

class NfsStore final : public folder::FolderStore {
public:
    NfsStore(const Host &, std::string_view config) : FolderStore(root_of(config)) {}

private:
    static std::unique_ptr<folder::Fs> root_of(std::string_view config)
    {
        std::unique_ptr<folder::Fs> fs = open_root(config, Purpose::open);
        if (!fs) throw Error(Code::invalid, "nfs: 'url' or 'root' is missing; it names the folder of the builds");
        return fs;
    }
};

class NfsStatus final : public folder::RunStatus {
public:
    NfsStatus(const Host &host, std::string_view config) : RunStatus(host.reader())
    {
        (void)open_root(config, Purpose::check);
    }
};

}  // namespace litbuild::nfs

LITBUILD_PLUGIN("nfs", LITBUILD_VERSION, litbuild::StoreOf<litbuild::nfs::NfsStore>,
                litbuild::StatusOf<litbuild::nfs::NfsStatus>)
