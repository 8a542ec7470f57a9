#include <nfs/way_in.hpp>

#include <algorithm>
#include <filesystem>

#include <boost/json.hpp>

#include <litbuild/error.hpp>
#include <litbuild/names.hpp>

#include <folder-store/deadline_fs.hpp>

#include <nfs/mounted_fs.hpp>
#include <nfs/nfs_fs.hpp>

namespace litbuild::nfs {

namespace json = boost::json;
using std::chrono::milliseconds;

namespace {

std::string text_of(const json::value &value, std::string_view key)
{
    const json::string *text = value.if_string();
    if (!text || text->empty()) throw Error(Code::invalid, "nfs: " + quote(key) + " is not a text");
    return std::string(*text);
}

milliseconds duration_of(const json::value &value, std::string_view key)
{
    const json::string *text = value.if_string();
    const auto parsed = text ? parse_duration(*text) : std::nullopt;
    if (!parsed || parsed->count() == 0)
        throw Error(Code::invalid, "nfs: " + quote(key) + " must be a duration such as \"500ms\", \"10s\" or \"2m\"");
    return *parsed;
}

std::unique_ptr<folder::Fs> open_mount(const std::string &root, milliseconds lease, Purpose purpose)
{
    const std::filesystem::path path(root);
    if (!path.is_absolute() || std::find(path.begin(), path.end(), "..") != path.end())
        throw Error(Code::invalid, "nfs: 'root' is not an absolute path without '..'");
    if (purpose == Purpose::check) return nullptr;
    std::string text = path.lexically_normal();
    while (text.size() > 1 && text.back() == '/') text.pop_back();
    // A hung mount holds whoever asks it, and no signal ends that.
    return std::make_unique<folder::DeadlineFs>(
        text, LB_STORE_DURABLE | LB_STORE_LOCAL_PATH | LB_STORE_SHARED,
        [text, lease] { return std::make_unique<MountedFs>(text, lease); });
}

}  // namespace

std::unique_ptr<folder::Fs> open_root(std::string_view config, Purpose purpose)
{
    json::error_code error;
    const json::value value = json::parse(config.empty() ? "{}" : config, error);
    if (error || !value.is_object()) throw Error(Code::invalid, "nfs: the configuration is not a JSON object");
    std::string url, root, only_by_url;
    Options options;
    for (const auto &[key, member] : value.get_object()) {
        if (key == "path" || key == "deadline" || key == "resend" || key == "fresh") only_by_url = key;
        if (key == "url") url = text_of(member, key);
        else if (key == "root") root = text_of(member, key);
        else if (key == "path") options.path = text_of(member, key);
        else if (key == "deadline") options.patience.deadline = duration_of(member, key);
        else if (key == "resend") options.patience.resend = duration_of(member, key);
        else if (key == "lease") options.lease = duration_of(member, key);
        else if (key == "fresh") options.fresh = duration_of(member, key);
        else throw Error(Code::invalid, "nfs: unknown key " + quote(key) +
                                            "; known are url, path, root, deadline, resend, lease, fresh");
    }
    if (options.lease < shortest_lease || options.lease > longest_lease)
        throw Error(Code::invalid, "nfs: 'lease' must be between 100ms and 1h");
    if (url.empty() && !only_by_url.empty()) throw Error(Code::invalid, "nfs: " + quote(only_by_url) + " goes with 'url' only");
    if (url.empty() && root.empty()) return nullptr;
    // Beside a URL the root is not used: an engine gives its own to every store.
    if (url.empty()) return open_mount(root, options.lease, purpose);
    if (!options.path.empty() && options.path.front() != '/')
        throw Error(Code::invalid, "nfs: 'path' is not an absolute path");
    options.address = parse_address(url);
    if (purpose == Purpose::check) return nullptr;
    return std::make_unique<NfsFs>(options);
}

}  // namespace litbuild::nfs
