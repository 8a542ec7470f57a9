#include "options.hpp"

#include <service/fields.hpp>

namespace slurm {

namespace json = boost::json;
using litbuild::quote;
using service::check_path;
using service::Endpoint;
using service::Fields;

namespace {

/// Slurm takes several, with commas; a space or a line break would only end in its log.
std::string word(const Fields &in, std::string_view key, const std::string &otherwise)
{
    std::string out = in.text(key, otherwise);
    if (out.find(' ') != std::string::npos) in.fail(quote(key) + " must not contain a space");
    return out;
}

void read_choice(const Fields &in, Choice &out)
{
    out.partition = word(in, "partition", out.partition);
    out.account = word(in, "account", out.account);
    out.qos = word(in, "qos", out.qos);
    out.constraints = in.text("constraints", out.constraints);
    out.time = in.duration("time", out.time);
    out.cpus = in.count("cpus", out.cpus);
    if (out.cpus > 65'000) in.fail("'cpus' is more than Slurm can count");
    out.memory_bytes = in.bytes("memory", out.memory_bytes);
    if (in.find("requeue")) out.requeue = in.yes("requeue", false);
    for (const auto &[name, value] : service::environment_of(in)) {
        if (name.starts_with("SLURM_")) in.fail("environment " + quote(name) + ": is Slurm's own");
        out.environment[name] = value;
    }
}

Endpoint read_rest(const Fields &in)
{
    if (!in.find("rest")) {
        for (const char *key : {"tls", "user", "token", "api"})
            if (in.find(key)) in.fail(quote(key) + " is for slurmrestd, whose address is to stand as 'rest'");
        return {};
    }
    for (const char *key : {"client", "conf"})
        if (in.find(key)) in.fail(quote(key) + " and 'rest' exclude each other");
    Endpoint out = Endpoint::parse(in.text("rest", ""), rest_kind);
    out.read_tls(in);
    return out;
}

std::string path(const Fields &in, const char *key)
{
    std::string out = in.text(key, "");
    if (!out.empty()) check_path(in, out, key);
    return out;
}

}  // namespace

Settings read_settings(std::string_view config)
{
    const std::string where = "slurm: configuration";
    const json::value value = service::parse(config, where);
    const Fields in(value, where);
    in.allow({"rest", "tls", "api", "user", "token", "client", "conf", "timeout", "runner", "inherit", "partition", "account",
              "qos", "constraints", "time", "cpus", "memory", "requeue", "environment"});
    Settings out;
    out.rest = read_rest(in);
    out.api = in.text("api", out.api);
    if (out.api != "v0.0.38") in.fail("'api' " + quote(out.api) + " is not spoken; v0.0.38 is");
    out.user = word(in, "user", "");
    if (const json::value *token = in.find("token")) {
        const Fields from(*token, where + ": token");
        from.allow({"file"});
        out.token_file = path(from, "file");
        if (out.token_file.empty()) from.fail(R"(must be {"file": PATH})");
    }
    out.client = path(in, "client");
    out.conf = path(in, "conf");
    out.patience = in.duration("timeout", out.patience);
    out.runner = path(in, "runner");
    // Of who asks, and not of whom the jobs are.
    if (!out.user.empty()) out.inherit = {"PATH", "LANG", "TZ"};
    out.inherit = in.words("inherit", out.inherit);
    read_choice(in, out.defaults);
    return out;
}

Choice choose(const Settings &settings, const std::string &object, std::string_view options, std::string_view limits)
{
    Choice out = settings.defaults;
    const json::value wishes = service::parse(options, object + ": process");
    const Fields in(wishes, object + ": process");
    in.allow({"partition", "account", "qos", "constraints", "time", "cpus", "memory", "requeue", "environment", "restart"});
    if (const std::string restart = in.text("restart", "never"); restart != "never")
        in.fail("'restart' " + quote(restart) + " is not known; a build runs once: never");
    for (const auto &[name, value] : service::environment_of(in))
        if (value.from != service::Value::From::plain)
            in.fail("environment " + quote(name) + ": only the deployment's configuration may say where a value lies");
    read_choice(in, out);
    const json::value wanted = service::parse(limits, object + ": limits");
    const Fields spec_limits(wanted, object + ": limits");
    out.processes = spec_limits.count("processes", out.processes);
    out.memory_bytes = spec_limits.count("memory_bytes", out.memory_bytes);
    out.cpu_ms = spec_limits.count("cpu_time_ms", out.cpu_ms);
    return out;
}

}  // namespace slurm
