// The build store on a folder of this host, and the status of the builds in it. See README.md.
#include <boost/json.hpp>

#include <litbuild/export.hpp>
#include <litbuild/version.hpp>

#include <folder-store/folder_store.hpp>
#include <folder-store/posix_fs.hpp>
#include <folder-store/run_status.hpp>

namespace litbuild::local_fs {

namespace json = boost::json;

namespace {

enum class Root { required, optional };

// The only key there is.
std::string root_of(std::string_view config, Root need)
{
    json::error_code error;
    const json::value value = json::parse(config.empty() ? "{}" : config, error);
    if (error || !value.is_object()) throw Error(Code::invalid, "local-fs: the configuration is not a JSON object");
    std::string root;
    for (const auto &member : value.get_object()) {
        if (member.key() != "root")
            throw Error(Code::invalid, "local-fs: unknown key " + quote(member.key()));
        const json::string *text = member.value().if_string();
        if (!text || text->empty()) throw Error(Code::invalid, "local-fs: 'root' is not the name of a folder");
        root = std::string(*text);
    }
    if (root.empty() && need == Root::required)
        throw Error(Code::invalid, "local-fs: 'root' is missing; it names the folder of the builds");
    return root;
}

}  // namespace

class LocalFsStore final : public folder::FolderStore {
public:
    LocalFsStore(const Host &, std::string_view config)
        : FolderStore(std::make_unique<folder::PosixFs>(root_of(config, Root::required)))
    {
    }
};

class LocalFsStatus final : public folder::RunStatus {
public:
    LocalFsStatus(const Host &host, std::string_view config) : RunStatus(host.reader())
    {
        root_of(config, Root::optional);
    }
};

}  // namespace litbuild::local_fs

LITBUILD_PLUGIN("local-fs", LITBUILD_VERSION, litbuild::StoreOf<litbuild::local_fs::LocalFsStore>,
                litbuild::StatusOf<litbuild::local_fs::LocalFsStatus>)
