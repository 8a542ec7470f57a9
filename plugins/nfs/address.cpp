#include <nfs/address.hpp>

#include <charconv>

#include <litbuild/error.hpp>
#include <litbuild/names.hpp>

namespace litbuild::nfs {

namespace {

constexpr std::string_view scheme = "nfs://";

[[noreturn]] void fail(std::string_view url, const std::string &why)
{
    throw Error(Code::invalid, quote(url) + ": " + why + " (such as \"nfs://server/export?version=3\")");
}

int number(std::string_view url, std::string_view key, std::string_view text, int most)
{
    int value = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value < 0 || value > most)
        fail(url, quote(key) + " is not a number up to " + std::to_string(most));
    return value;
}

void argument(Address &address, std::string_view url, std::string_view text)
{
    const size_t equals = text.find('=');
    const std::string_view key = text.substr(0, equals);
    const std::string_view value = equals == text.npos ? std::string_view() : text.substr(equals + 1);
    if (key == "version") {
        if (value != "3") fail(url, "version " + quote(value) + " is not supported; 3 is");
    } else if (key == "nfsport") {
        address.nfs_port = number(url, key, value, 65535);
    } else if (key == "mountport") {
        address.mount_port = number(url, key, value, 65535);
    } else if (key == "uid") {
        address.uid = number(url, key, value, INT32_MAX);
    } else if (key == "gid") {
        address.gid = number(url, key, value, INT32_MAX);
    } else {
        fail(url, "unknown argument " + quote(key) + "; known are version, nfsport, mountport, uid, gid");
    }
}

}  // namespace

Address parse_address(std::string_view url)
{
    if (!url.starts_with(scheme) || url.size() > 2000) fail(url, "is not the URL of an export");
    for (const char c : url)
        if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f) fail(url, "contains a blank or a control character");
    const size_t question = std::min(url.find('?'), url.size());
    const std::string_view place = url.substr(scheme.size(), question - scheme.size());
    const size_t slash = place.find('/');
    if (slash == 0 || slash == place.npos) fail(url, "names no server and folder");
    Address address;
    address.server = place.substr(0, slash);
    address.folder = place.substr(slash);
    while (address.folder.size() > 1 && address.folder.back() == '/') address.folder.pop_back();
    std::string_view rest = url.substr(std::min(question + 1, url.size()));
    while (!rest.empty()) {
        const size_t end = std::min(rest.find('&'), rest.size());
        argument(address, url, rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return address;
}

}  // namespace litbuild::nfs
