#include "options.hpp"

#include <stdlib.h>

#include <service/fields.hpp>

#include "policy.hpp"

namespace container {

namespace json = boost::json;
using litbuild::Code;
using litbuild::Error;
using litbuild::quote;
using service::check_path;
using service::Endpoint;
using service::environment_of;
using service::Fields;
using service::parse;

namespace {

Mount mount_of(const json::value &value, const std::string &where)
{
    const Fields in(value, where);
    in.allow({"source", "target", "access"});
    Mount out{in.text("source", ""), in.text("target", in.text("source", "")),
              in.one_of("access", Access::read, {{"read", Access::read}, {"write", Access::write}})};
    check_path(in, out.source, "source");
    check_path(in, out.target, "target");
    return out;
}

std::vector<Mount> mounts_of(const Fields &in, const char *key)
{
    std::vector<Mount> out;
    const json::value *found = in.find(key);
    if (!found) return out;
    if (!found->is_array()) in.fail(quote(key) + " must be a list");
    for (const json::value &each : found->as_array()) out.push_back(mount_of(each, in.where() + ": " + key));
    return out;
}

constexpr std::initializer_list<std::pair<const char *, Pull>> pulls = {
    {"missing", Pull::missing}, {"always", Pull::always}, {"never", Pull::never}};

void read_limits(const Fields &in, Choice &out)
{
    const json::value *found = in.find("limits");
    if (!found) return;
    const Fields limits(*found, in.where() + ": limits");
    limits.allow({"processes", "memory", "cpus"});
    out.processes = limits.count("processes", out.processes);
    out.memory_bytes = limits.bytes("memory", out.memory_bytes);
    out.cpus = limits.positive("cpus", out.cpus);
}

Allowed read_allowed(const Fields &config)
{
    Allowed out;
    const json::value *found = config.find("allow");
    if (!found) return out;
    const Fields in(*found, config.where() + ": allow");
    in.allow({"images", "users", "networks", "mounts", "files", "variables"});
    out.images = in.words("images", out.images);
    out.users = in.words("users", out.users);
    out.networks = in.words("networks", out.networks);
    out.files = in.words("files", out.files);
    out.variables = in.words("variables", out.variables);
    for (const std::string &folder : out.files) check_path(in, folder, "folder of files");
    const json::value *mounts = in.find("mounts");
    if (mounts && !mounts->is_array()) in.fail("'mounts' must be a list");
    for (const json::value &each : mounts ? mounts->as_array() : json::array()) {
        if (each.is_object()) {
            const Fields mount(each, in.where() + ": mounts");
            mount.allow({"source", "access"});
            out.mounts.push_back({mount.text("source", ""), "",
                                  mount.one_of("access", Access::read, {{"read", Access::read}, {"write", Access::write}})});
        } else {
            out.mounts.push_back({each.is_string() ? std::string(each.as_string()) : std::string(), "", Access::read});
        }
        check_path(in, out.mounts.back().source, "mount");
    }
    return out;
}

Endpoint read_endpoint(const Fields &in)
{
    const char *named = ::secure_getenv("DOCKER_HOST");
    Endpoint out = Endpoint::parse(in.text("engine", named && *named ? named : "unix:///var/run/docker.sock"), engine_kind);
    out.read_tls(in);
    return out;
}

}  // namespace

Settings read_settings(std::string_view config)
{
    const std::string where = "container: configuration";
    const json::value value = parse(config, where);
    const Fields in(value, where);
    in.allow({"engine", "tls", "timeout", "name", "runner", "remove", "image", "user", "network", "mounts", "environment",
              "limits", "pull", "allow", "read_only_root", "new_privileges", "capabilities", "tmpfs"});
    Settings out;
    out.engine = read_endpoint(in);
    out.patience = in.duration("timeout", out.patience);
    out.name = in.text("name", out.name);
    out.runner = in.text("runner", "");
    if (!out.runner.empty()) check_path(in, out.runner, "runner");
    out.remove = in.one_of("remove", out.remove,
                           {{"always", Remove::always}, {"on success", Remove::on_success}, {"never", Remove::never}});
    out.defaults.image = in.text("image", "");
    out.defaults.user = in.text("user", "");
    out.defaults.network = in.text("network", "none");
    out.defaults.mounts = mounts_of(in, "mounts");
    out.defaults.environment = environment_of(in);
    out.defaults.processes = 4096;
    read_limits(in, out.defaults);
    out.defaults.pull = in.one_of("pull", out.defaults.pull, pulls);
    out.allowed = read_allowed(in);
    out.read_only_root = in.yes("read_only_root", out.read_only_root);
    out.new_privileges = in.yes("new_privileges", out.new_privileges);
    out.capabilities = in.words("capabilities", {});
    if (const json::value *tmpfs = in.find("tmpfs")) {
        const Fields folders(*tmpfs, where + ": tmpfs");
        out.tmpfs.clear();
        for (const auto &each : folders.object()) {
            check_path(folders, std::string(each.key()), "folder");
            out.tmpfs[std::string(each.key())] = folders.text(each.key(), "");
        }
    }
    return out;
}

Choice choose(const Settings &settings, const std::string &object, std::string_view options, std::string_view limits,
              const std::string &folder)
{
    Choice out = settings.defaults;
    const json::value wishes = parse(options, object + ": process");
    const Fields in(wishes, object + ": process");
    in.allow({"image", "user", "network", "mounts", "environment", "cpus", "pull"});
    out.image = in.text("image", out.image);
    out.user = in.text("user", out.user);
    out.network = in.text("network", out.network);
    out.cpus = in.positive("cpus", out.cpus);
    out.pull = in.one_of("pull", out.pull, pulls);
    std::vector<Mount> mounts = mounts_of(in, "mounts");
    std::map<std::string, Value> environment = environment_of(in);
    check_allowed(settings, in.where(), out, mounts, environment, folder);
    out.mounts.insert(out.mounts.end(), mounts.begin(), mounts.end());
    for (const auto &[name, value] : environment) out.environment[name] = value;

    const json::value wanted = parse(limits, object + ": limits");
    const Fields spec_limits(wanted, object + ": limits");
    out.processes = spec_limits.count("processes", out.processes);
    out.memory_bytes = spec_limits.count("memory_bytes", out.memory_bytes);
    out.cpu_ms = spec_limits.count("cpu_time_ms", out.cpu_ms);
    if (out.image.empty()) in.fail("names no image, and the configuration names none either");
    return out;
}

}  // namespace container
