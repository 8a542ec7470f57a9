#include "api.hpp"

#include <poll.h>

#include <charconv>

#include <boost/json.hpp>

#include <litbuild/time.hpp>

namespace container {

namespace json = boost::json;
using litbuild::Call;
using litbuild::Code;
using litbuild::Error;

namespace {

// What this plugin speaks; the lower of this and the engine's newest is spoken. Older than the least has no `Mounts`.
struct Version {
    int major = 0, minor = 0;
    auto operator<=>(const Version &) const = default;
};
constexpr Version newest{1, 51}, least{1, 30};

std::optional<Version> parse_version(std::string_view text)
{
    Version out;
    const char *const end = text.data() + text.size();
    const auto major = std::from_chars(text.data(), end, out.major);
    if (major.ec != std::errc{} || major.ptr == end || *major.ptr != '.') return std::nullopt;
    const auto minor = std::from_chars(major.ptr + 1, end, out.minor);
    if (minor.ec != std::errc{} || minor.ptr != end) return std::nullopt;
    return out;
}

std::string text_of(const Version &version) { return std::to_string(version.major) + "." + std::to_string(version.minor); }

std::string encoded(std::string_view text)
{
    static constexpr char digits[] = "0123456789ABCDEF";
    std::string out;
    for (const char c : text) {
        if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.') {
            out += c;
            continue;
        }
        const auto byte = static_cast<unsigned char>(c);
        out += '%';
        out += digits[byte >> 4];
        out += digits[byte & 15];
    }
    return out;
}

std::string filters(const json::object &what) { return encoded(json::serialize(what)); }

/// Foreign text as a part of a sentence.
std::string tidy(std::string_view text, size_t most = 300)
{
    while (!text.empty() && (text.back() == '\n' || text.back() == ' ' || text.back() == '.')) text.remove_suffix(1);
    std::string out;
    for (const char c : text.substr(0, most)) out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
    return text.size() > most ? out + "..." : out;
}

const json::value *member(const json::value &from, std::initializer_list<const char *> path)
{
    const json::value *at = &from;
    for (const char *key : path) {
        at = at->is_object() ? at->as_object().if_contains(key) : nullptr;
        if (!at) return nullptr;
    }
    return at;
}

std::string text(const json::value &from, std::initializer_list<const char *> path)
{
    const json::value *found = member(from, path);
    return found && found->is_string() ? std::string(found->as_string()) : std::string();
}

int64_t number(const json::value &from, std::initializer_list<const char *> path)
{
    const json::value *found = member(from, path);
    boost::system::error_code error;
    return found && found->is_number() ? found->to_number<int64_t>(error) : 0;
}

std::map<std::string, std::string> labels_of(const json::value &from, std::initializer_list<const char *> path)
{
    std::map<std::string, std::string> out;
    const json::value *found = member(from, path);
    if (!found || !found->is_object()) return out;
    for (const auto &[key, value] : found->as_object())
        if (value.is_string()) out[std::string(key)] = std::string(value.as_string());
    return out;
}

/// Engines write a year 1 where there is no time yet.
std::string time_of(const json::value &from, std::initializer_list<const char *> path)
{
    std::string out = text(from, path);
    return out.starts_with("0001-") ? std::string() : out;
}

std::string said(const Answer &answer)
{
    boost::system::error_code error;
    const json::value body = json::parse(answer.body, error);
    const std::string sentence = error ? std::string() : text(body, {"message"});
    if (!sentence.empty()) return tidy(sentence);
    return "HTTP status " + std::to_string(answer.status) + (answer.body.empty() ? "" : ": " + tidy(answer.body, 120));
}

Code code_for(unsigned status, const std::string &sentence)
{
    if (sentence.find("no space left on device") != std::string::npos) return Code::no_space;
    switch (status) {
    case 400: return Code::invalid;
    case 401:
    case 403: return Code::denied;
    case 404: return Code::not_found;
    case 409: return Code::exists;
    default: return Code::unavailable;
    }
}

}  // namespace

const std::string &Container::label(const std::string &key) const
{
    static const std::string none;
    const auto found = labels.find(key);
    return found == labels.end() ? none : found->second;
}

// ---------------------------------------------------------------------------------------------- asking

/// The engine's version is asked once, and again after it could not be reached: another one may have been started.
std::string Api::version(const Call &call) const
{
    {
        const std::lock_guard lock(mutex_);
        if (!version_.empty()) return version_;
    }
    const Answer answer = http_.ask(call, Verb::get, "/_ping");
    const std::optional<Version> theirs = parse_version(answer.api_version);
    if (!theirs)
        throw Unreachable(Code::unavailable, object() +
                                                 ": what answers is not the container engine: it names no version of its API (" +
                                                 said(answer) + ")");
    if (answer.status >= 400) refuse(answer);
    if (*theirs < least)
        throw Error(Code::unsupported, object() + ": its API is of version " + text_of(*theirs) + "; " + text_of(least) +
                                           " or newer is needed");
    const std::lock_guard lock(mutex_);
    is_podman_ = answer.server.starts_with("Libpod");
    return version_ = "/v" + text_of(std::min(*theirs, newest));
}

Answer Api::ask(const Call &call, Verb verb, const std::string &target, const std::string &body) const
{
    try {
        return http_.ask(call, verb, version(call.at_most(patience_)) + target, body);
    } catch (const Unreachable &) {
        const std::lock_guard lock(mutex_);
        version_.clear();
        throw;
    } catch (const Error &e) {
        // The engine's patience and not the caller's is at its end.
        if (e.code() != Code::timeout) throw;
        throw Unreachable(Code::timeout, object() + ": the container engine has not answered in time");
    }
}

Answer Api::good(const Call &call, Verb verb, const std::string &target, const std::string &body) const
{
    Answer answer;
    try {
        answer = ask(call.at_most(patience_), verb, target, body);
    } catch (const Unreachable &e) {
        if (e.code() != Code::timeout || call.expired()) throw;
        throw Unreachable(Code::unavailable, object() + ": the container engine has not answered for " +
                                                 std::to_string(patience_.count() / 1000) + " s");
    }
    if (answer.status >= 400) refuse(answer);
    return answer;
}

/// A question that Podman answers with a fault of its own where a container goes away while it looks is asked again.
Answer Api::answer_to(const Call &call, const std::string &target) const
{
    for (int attempt = 1;; ++attempt) {
        try {
            return good(call, Verb::get, target);
        } catch (const Refusal &e) {
            if (e.status() < 500 || attempt == 4) throw;
        }
        ::poll(nullptr, 0, 20 * attempt);
    }
}

bool Api::is_podman(const Call &call) const
{
    version(call.at_most(patience_));
    const std::lock_guard lock(mutex_);
    return is_podman_;
}

void Api::refuse(const Answer &answer) const
{
    const std::string sentence = said(answer);
    throw Refusal(answer.status, code_for(answer.status, sentence), object() + ": the container engine says: " + sentence);
}

json::value Api::parse(const std::string &text) const
{
    boost::system::error_code error;
    json::value out = json::parse(text, error);
    if (error)
        throw Unreachable(Code::unavailable, object() + ": the container engine's answer is not JSON: " + error.message());
    return out;
}

// -------------------------------------------------------------------------------------------- containers

std::string Api::create(const Call &call, const std::string &name, const json::object &what) const
{
    const Answer answer = good(call, Verb::post, "/containers/create?name=" + encoded(name), json::serialize(what));
    std::string id = text(parse(answer.body), {"Id"});
    if (id.empty())
        throw Unreachable(Code::unavailable, object() + ": the container engine made a container and gave it no id");
    return id;
}

void Api::start(const Call &call, const std::string &id) const { good(call, Verb::post, "/containers/" + id + "/start"); }

std::optional<Container> Api::inspect(const Call &call, const std::string &id) const
{
    Answer answer;
    try {
        answer = answer_to(call, "/containers/" + encoded(id) + "/json");
    } catch (const Refusal &e) {
        if (e.status() == 404) return std::nullopt;
        throw;
    }
    const json::value found = parse(answer.body);
    Container out;
    out.id = text(found, {"Id"});
    out.name = text(found, {"Name"});
    if (out.name.starts_with('/')) out.name.erase(0, 1);
    out.labels = labels_of(found, {"Config", "Labels"});
    out.state = text(found, {"State", "Status"});
    out.exit_code = number(found, {"State", "ExitCode"});
    const json::value *killed = member(found, {"State", "OOMKilled"});
    out.out_of_memory = killed && killed->is_bool() && killed->as_bool();
    out.started = time_of(found, {"State", "StartedAt"});
    out.ended = time_of(found, {"State", "FinishedAt"});
    out.error = tidy(text(found, {"State", "Error"}));
    out.kept_in = text(found, {"GraphDriver", "Data", "UpperDir"});
    const json::value *removes_itself = member(found, {"HostConfig", "AutoRemove"});
    out.removes_itself = removes_itself && removes_itself->is_bool() && removes_itself->as_bool();
    out.memory = number(found, {"HostConfig", "Memory"});
    if (out.id.empty() || out.state.empty())
        throw Unreachable(Code::unavailable, object() + ": the container engine's answer names no container and no state");
    return out;
}

bool Api::kill(const Call &call, const std::string &id, int signal) const
{
    try {
        good(call, Verb::post, "/containers/" + id + "/kill?signal=" + std::to_string(signal));
        return true;
    } catch (const Refusal &e) {
        // Docker answers 409 where it does not run, and Podman 500; which it was is asked, not read from the sentence.
        if (e.status() == 404) return false;
        const std::optional<Container> now = inspect(call, id);
        if (!now || !now->is_alive()) return false;
        throw;
    }
}

void Api::unpause(const Call &call, const std::string &id) const { good(call, Verb::post, "/containers/" + id + "/unpause"); }

std::optional<Api::Ended> Api::wait(const Call &call, const std::string &id) const
{
    // In pieces, so that an engine that has died in its sleep is found out. The interval is Podman's, which looks again and
    // again.
    constexpr auto piece = std::chrono::seconds(10);
    const std::string question = "/containers/" + id + "/wait?condition=not-running&interval=20ms";
    for (int refusals = 0;;) {
        try {
            const Answer answer = ask(call.at_most(piece), Verb::post, question);
            if (answer.status == 404) return Ended{};
            if (answer.status < 400) return Ended{number(parse(answer.body), {"StatusCode"})};
            // As in answer_to().
            if (++refusals > 4) refuse(answer);
            ::poll(nullptr, 0, 20 * refusals);
        } catch (const Unreachable &e) {
            if (e.code() != Code::timeout) throw;
            if (call.expired()) return std::nullopt;
        }
        const std::optional<Container> now = inspect(call, id);
        if (!now) return Ended{};
        if (!now->is_alive()) return Ended{now->exit_code};
    }
}

void Api::remove(const Call &call, const std::string &id, Force force) const
{
    try {
        good(call, Verb::remove, "/containers/" + id + "?v=1" + (force == Force::yes ? "&force=1" : ""));
    } catch (const Refusal &e) {
        // Gone, on its way out, or running.
        if (e.status() != 404 && e.status() != 409 && (force == Force::yes || inspect(call, id))) throw;
    }
}

std::vector<Api::Listed> Api::list(const Call &call, const std::string &label) const
{
    const json::object wanted = {{"label", json::array{label}}};
    const json::value found = parse(answer_to(call, "/containers/json?all=1&filters=" + filters(wanted)).body);
    std::vector<Listed> out;
    if (!found.is_array()) return out;
    for (const json::value &each : found.as_array()) {
        Listed listed{text(each, {"Id"}), text(each, {"State"}), number(each, {"Created"}), labels_of(each, {"Labels"})};
        if (!listed.id.empty()) out.push_back(std::move(listed));
    }
    return out;
}

std::vector<litbuild::ProcessInfo> Api::processes(const Call &call, const std::string &id) const
{
    // Docker gives this to the host's ps; Podman names the columns itself, or runs the ps of the image, which may have none.
    const std::string columns = is_podman(call) ? "hpid,state,args" : "-eo pid,stat,args";
    const std::string target = "/containers/" + id + "/top?ps_args=" + encoded(columns);
    std::string body = answer_to(call, target).body;
    // Podman has said that all is well before it looks; where a process goes away meanwhile, nothing follows.
    for (int attempt = 1; body.empty() && attempt < 4; ++attempt) {
        ::poll(nullptr, 0, 20 * attempt);
        body = answer_to(call, target).body;
    }
    const json::value found = parse(body);
    std::vector<litbuild::ProcessInfo> out;
    const json::value *rows = member(found, {"Processes"});
    if (!rows || !rows->is_array()) return out;
    for (const json::value &row : rows->as_array()) {
        if (!row.is_array() || row.as_array().size() < 3) continue;
        litbuild::ProcessInfo info;
        const auto word = [&](size_t at) {
            return row.as_array()[at].is_string() ? std::string(row.as_array()[at].as_string()) : std::string();
        };
        const std::string pid = word(0);
        std::from_chars(pid.data(), pid.data() + pid.size(), info.pid);
        info.state = word(1).empty() ? '\0' : word(1).front();
        info.command = tidy(word(2), 200);
        out.push_back(std::move(info));
    }
    return out;
}

std::string Api::output(const Call &call, const std::string &id) const
{
    const std::string framed = answer_to(call, "/containers/" + id + "/logs?stdout=1&stderr=1&tail=20").body;
    // Each piece stands behind eight bytes: which stream, three zeroes, its length.
    std::string out;
    size_t at = 0;
    while (at + 8 <= framed.size()) {
        size_t length = 0;
        for (size_t i = 4; i < 8; ++i) length = length << 8 | static_cast<unsigned char>(framed[at + i]);
        out += framed.substr(at + 8, length);
        at += 8 + length;
    }
    return tidy(out);
}

// ---------------------------------------------------------------------------------------- images, engine

bool Api::has_image(const Call &call, const std::string &image) const
{
    try {
        answer_to(call, "/images/" + encoded(image) + "/json");
        return true;
    } catch (const Refusal &e) {
        if (e.status() == 404) return false;
        throw;
    }
}

void Api::pull(const Call &call, const std::string &image) const
{
    // Without a tag the engine would fetch all of them.
    const size_t colon = image.rfind(':');
    const bool named =
        image.find('@') != std::string::npos || (colon != std::string::npos && image.find('/', colon) == std::string::npos);
    const Answer answer = ask(call, Verb::post, "/images/create?fromImage=" + encoded(image) + (named ? "" : "&tag=latest"));
    if (answer.status >= 400) refuse(answer);
    // What goes wrong on the way stands in the last line of its progress.
    size_t at = 0;
    while (at < answer.body.size()) {
        const size_t end = std::min(answer.body.find('\n', at), answer.body.size());
        boost::system::error_code error;
        const json::value line = json::parse(std::string_view(answer.body).substr(at, end - at), error);
        if (const std::string why = error ? std::string() : text(line, {"error"}); !why.empty())
            throw Refusal(500, Code::unavailable, object() + ": the container engine says: " + tidy(why));
        at = end + 1;
    }
}

json::value Api::info(const Call &call) const { return parse(answer_to(call, "/info").body); }

std::string Api::folder(const Call &call) const { return text(info(call), {"DockerRootDir"}); }

bool Api::is_rootless(const Call &call) const
{
    const json::value found = info(call);
    const json::value *options = member(found, {"SecurityOptions"});
    if (!options || !options->is_array()) return false;
    for (const json::value &each : options->as_array())
        if (each.is_string() && each.as_string().find("name=rootless") != json::string::npos) return true;
    return false;
}

std::optional<int64_t> Api::remembered_exit(const Call &call, const std::string &id) const
{
    const json::object wanted = {{"container", json::array{id}}, {"event", json::array{"die", "died"}}};
    // Docker ends at a time, to the nanosecond, and at no other wish; Podman at this wish, and at no fraction of a second.
    const litbuild::Timestamp now = litbuild::now();
    std::string fraction = std::to_string(now % 1'000'000'000);
    fraction.insert(0, 9 - fraction.size(), '0');
    const std::string until =
        is_podman(call) ? "&stream=false" : "&until=" + std::to_string(now / 1'000'000'000) + "." + fraction;
    const std::string body = answer_to(call, "/events?since=1" + until + "&filters=" + filters(wanted)).body;
    std::optional<int64_t> out;
    size_t at = 0;
    while (at < body.size()) {
        const size_t end = std::min(body.find('\n', at), body.size());
        boost::system::error_code error;
        const json::value line = json::parse(std::string_view(body).substr(at, end - at), error);
        at = end + 1;
        if (error) continue;
        std::string code = text(line, {"Actor", "Attributes", "exitCode"});
        if (code.empty()) code = text(line, {"Actor", "Attributes", "containerExitCode"});
        int64_t value = 0;
        if (!code.empty() && std::from_chars(code.data(), code.data() + code.size(), value).ec == std::errc{}) out = value;
    }
    return out;
}

}  // namespace container
