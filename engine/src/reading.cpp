#include "reading.hpp"

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstring>

#include <litbuild/error.hpp>
#include <litbuild/names.hpp>

namespace litbuild::detail {

namespace json = boost::json;

namespace {

const json::object &object_of(const json::value &value, const std::string &where)
{
    if (!value.is_object()) throw Error(Code::invalid, where + ": must be a JSON object");
    return value.as_object();
}

// Of a number beyond all bounds, which is read as infinity and cannot be written again.
bool is_finite(const json::value &value)
{
    if (const double *number = value.if_double()) return std::isfinite(*number);
    if (const json::array *items = value.if_array()) return std::all_of(items->begin(), items->end(), is_finite);
    const json::object *members = value.if_object();
    return !members || std::all_of(members->begin(), members->end(), [](const auto &member) { return is_finite(member.value()); });
}

int signal_of(const json::value *value)
{
    if (value && value->is_int64() && value->as_int64() > 0 && value->as_int64() < NSIG)
        return static_cast<int>(value->as_int64());
    if (!value || !value->is_string()) return 0;
    std::string_view name = value->as_string();
    if (name.starts_with("SIG")) name.remove_prefix(3);
    for (int signal = 1; signal < NSIG; ++signal)
        if (const char *known = ::sigabbrev_np(signal); known && name == known) return signal;
    return 0;
}

}  // namespace

json::value parse_json(std::string_view text, const std::string &where)
{
    if (text.size() > 1024 * 1024) throw Error(Code::invalid, where + ": is larger than 1 MiB");
    json::stream_parser parser;
    boost::system::error_code error;
    const size_t used = parser.write_some(text, error);
    if (!error && used == text.size()) parser.finish(error);
    if (!error && used < text.size()) error = json::error::extra_data;
    if (!error) {
        json::value value = parser.release();
        if (is_finite(value)) return value;
        throw Error(Code::invalid, where + ": contains a number that is too large");
    }
    const size_t line = 1 + static_cast<size_t>(std::count(text.begin(), text.begin() + static_cast<ptrdiff_t>(used), '\n'));
    throw Error(Code::invalid, where + ": is not JSON: " + error.message() + " in line " + std::to_string(line));
}

Reading::Reading(const json::value &value, std::string where) : object_(object_of(value, where)), where_(std::move(where))
{
}

void Reading::fail(const std::string &why) const { throw Error(Code::invalid, where_ + ": " + why); }

void Reading::allow(std::initializer_list<std::string_view> keys) const
{
    for (const auto &[key, value] : object_) {
        if (std::find(keys.begin(), keys.end(), std::string_view(key)) != keys.end()) continue;
        std::string known;
        for (const std::string_view each : keys) known += (known.empty() ? "" : ", ") + std::string(each);
        fail("unknown key " + quote(key) + "; known are " + known);
    }
}

std::string Reading::text(std::string_view key, const std::string &otherwise) const
{
    const json::value *found = find(key);
    if (!found) return otherwise;
    if (!found->is_string()) fail(quote(key) + " must be a text");
    const std::string out(found->as_string());
    for (const char c : out)
        if (static_cast<unsigned char>(c) < 0x20) fail(quote(key) + " contains a control character");
    return out;
}

std::chrono::milliseconds Reading::duration(std::string_view key, std::chrono::milliseconds otherwise, bool zero) const
{
    const json::value *found = find(key);
    if (!found) return otherwise;
    const auto parsed = found->is_string() ? parse_duration(found->as_string()) : std::nullopt;
    if (!parsed || (!zero && parsed->count() == 0))
        fail(quote(key) + " must be a duration such as \"500ms\", \"10s\" or \"2m\"");
    return *parsed;
}

uint64_t Reading::count(std::string_view key) const
{
    const json::value *found = find(key);
    if (!found) return 0;
    if (!found->is_int64() || found->as_int64() <= 0) fail(quote(key) + " must be a whole number above 0");
    return static_cast<uint64_t>(found->as_int64());
}

uint64_t Reading::bytes(std::string_view key) const
{
    const json::value *found = find(key);
    if (!found || found->is_int64()) return count(key);
    const auto parsed = found->is_string() ? parse_bytes(found->as_string()) : std::nullopt;
    if (!parsed) fail(quote(key) + " must be a number of bytes, or such as \"512M\" or \"2G\"");
    return *parsed;
}

std::vector<std::string> Reading::words(std::string_view key) const
{
    std::vector<std::string> out;
    const json::value *found = find(key);
    if (!found) return out;
    if (!found->is_array()) fail(quote(key) + " must be a list of texts");
    for (const json::value &word : found->as_array()) {
        if (!word.is_string()) fail(quote(key) + " must be a list of texts");
        out.emplace_back(word.as_string());
        if (out.back().find('\0') != std::string::npos) fail(quote(key) + " contains a zero byte");
    }
    return out;
}

StopPlan Reading::stop_plan(std::string_view key, const StopPlan &otherwise) const
{
    const json::value *found = find(key);
    if (!found) return otherwise;
    if (!found->is_array() || found->as_array().empty()) fail(quote(key) + " must be a list of steps");
    StopPlan out;
    for (const json::value &value : found->as_array()) {
        const Reading step(value, where_ + ": " + std::string(key));
        step.allow({"signal", "grace"});
        const int signal = signal_of(step.find("signal"));
        if (signal == 0) step.fail("'signal' must be the name of a signal, such as \"TERM\"");
        out.push_back({signal, step.duration("grace", std::chrono::seconds(signal == SIGKILL ? 60 : 10), true)});
    }
    if (out.back().signal != SIGKILL) fail(quote(key) + " must end with {\"signal\": \"KILL\"}");
    if (!is_sound(out)) fail(quote(key) + " takes longer than a hundred years");
    return out;
}

}  // namespace litbuild::detail
