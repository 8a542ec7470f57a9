#include "policy.hpp"

#include <fnmatch.h>
#include <stdlib.h>

#include <algorithm>

#include <litbuild/names.hpp>

namespace container {

using litbuild::Code;
using litbuild::Error;
using litbuild::quote;

namespace {

bool matches(const std::vector<std::string> &patterns, const std::string &word)
{
    return std::any_of(patterns.begin(), patterns.end(),
                       [&](const std::string &pattern) { return ::fnmatch(pattern.c_str(), word.c_str(), 0) == 0; });
}

/// Whether `path` is `folder` or lies below it.
bool is_within(const std::string &folder, const std::string &path)
{
    if (folder == "/") return true;
    return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

/// Without links and without a slash at its end; empty: it is not there.
std::string real(const std::string &path)
{
    char *const found = ::realpath(path.c_str(), nullptr);
    std::string out = found ? found : "";
    ::free(found);
    return out;
}

void check_word(const std::string &object, const char *what, const std::string &wanted, const std::string &otherwise,
                const std::vector<std::string> &allowed)
{
    if (wanted == otherwise || matches(allowed, wanted)) return;
    throw Error(Code::denied, object + ": " + what + " " + quote(wanted) + " is not allowed here");
}

/// Allowed is what the allowed folder is in truth: a link in it that leads out of it leads to what is not allowed.
void check_mount(const Allowed &allowed, const std::string &object, Mount &mount, const std::string &folder)
{
    const std::string source = real(mount.source);
    if (source.empty()) throw Error(Code::invalid, object + ": mount " + quote(mount.source) + " is not there");
    const auto permits = [&](const Mount &each) {
        const std::string root = real(each.source);
        return !root.empty() && is_within(root, source) && (mount.access == Access::read || each.access == Access::write);
    };
    if (!std::any_of(allowed.mounts.begin(), allowed.mounts.end(), permits))
        throw Error(Code::denied, object + ": mount " + quote(mount.source) + " is not allowed here" +
                                      (mount.access == Access::write ? " (for writing)" : ""));
    mount.source = source;
    while (mount.target.size() > 1 && mount.target.ends_with('/')) mount.target.pop_back();
    // Mounted over these, a build could deceive its runner about what it is and who is alive.
    for (const std::string &own :
         {std::string("/proc"), std::string("/sys"), std::string("/dev"), std::string(runner_target), folder})
        if (is_within(own, mount.target) || is_within(mount.target, own))
            throw Error(Code::denied, object + ": mount to " + quote(mount.target) + ": " + own + " is not to be covered");
}

}  // namespace

void check_allowed(const Settings &settings, const std::string &object, const Choice &choice, std::vector<Mount> &mounts,
                   std::map<std::string, Value> &environment, const std::string &folder)
{
    const Allowed &allowed = settings.allowed;
    check_word(object, "image", choice.image, settings.defaults.image, allowed.images);
    check_word(object, "user", choice.user, settings.defaults.user, allowed.users);
    check_word(object, "network", choice.network, settings.defaults.network, allowed.networks);
    for (Mount &mount : mounts) check_mount(allowed, object, mount, folder);
    for (auto &[name, value] : environment) {
        if (value.from == Value::From::variable &&
            std::find(allowed.variables.begin(), allowed.variables.end(), value.text) == allowed.variables.end())
            throw Error(Code::denied,
                        object + ": environment " + quote(name) + ": variable " + quote(value.text) + " is not allowed here");
        if (value.from != Value::From::file) continue;
        const std::string file = real(value.text);
        const auto permits = [&](const std::string &each) { return !real(each).empty() && is_within(real(each), file); };
        if (file.empty() || !std::any_of(allowed.files.begin(), allowed.files.end(), permits))
            throw Error(Code::denied,
                        object + ": environment " + quote(name) + ": file " + quote(value.text) + " is not allowed here");
        value.text = file;
    }
}

}  // namespace container
