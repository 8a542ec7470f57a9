// Reading a JSON object key by key, with sentences that say where and what.
#pragma once

#include <algorithm>
#include <charconv>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <boost/json.hpp>

#include <litbuild/names.hpp>

namespace service {

/// What is empty is an object without members. Throws Code::invalid.
inline boost::json::value parse(std::string_view text, const std::string &where)
{
    boost::system::error_code error;
    boost::json::value out = boost::json::parse(text.empty() ? "{}" : text, error);
    if (error) throw litbuild::Error(litbuild::Code::invalid, where + ": is not JSON: " + error.message());
    return out;
}

class Fields {
public:
    /// Throws Code::invalid where it is no object. Borrows the value.
    Fields(const boost::json::value &value, std::string where) : where_(std::move(where)), object_(value.if_object())
    {
        if (!object_) throw litbuild::Error(litbuild::Code::invalid, where_ + ": must be a JSON object");
    }
    [[noreturn]] void fail(const std::string &why) const
    {
        throw litbuild::Error(litbuild::Code::invalid, where_ + ": " + why);
    }

    const std::string &where() const noexcept { return where_; }
    const boost::json::object &object() const noexcept { return *object_; }
    const boost::json::value *find(std::string_view key) const { return object_->if_contains(key); }

    void allow(std::initializer_list<std::string_view> keys) const
    {
        for (const auto &each : *object_) {
            if (std::find(keys.begin(), keys.end(), std::string_view(each.key())) != keys.end()) continue;
            std::string known;
            for (const std::string_view key : keys) known += (known.empty() ? "" : ", ") + std::string(key);
            fail("unknown key " + litbuild::quote(each.key()) + "; known are " + known);
        }
    }
    std::string text(std::string_view key, const std::string &otherwise) const
    {
        const boost::json::value *found = find(key);
        return found ? text_of(*found, key) : otherwise;
    }
    std::vector<std::string> words(std::string_view key, const std::vector<std::string> &otherwise) const
    {
        const boost::json::value *found = find(key);
        if (!found) return otherwise;
        if (!found->is_array()) fail(litbuild::quote(key) + " must be a list of texts");
        std::vector<std::string> out;
        for (const boost::json::value &each : found->as_array()) out.push_back(text_of(each, key));
        return out;
    }
    bool yes(std::string_view key, bool otherwise) const
    {
        const boost::json::value *found = find(key);
        if (!found) return otherwise;
        if (!found->is_bool()) fail(litbuild::quote(key) + " must be true or false");
        return found->as_bool();
    }
    uint64_t count(std::string_view key, uint64_t otherwise) const
    {
        const boost::json::value *found = find(key);
        if (!found) return otherwise;
        if (!found->is_int64() || found->as_int64() <= 0) fail(litbuild::quote(key) + " must be a whole number above 0");
        return static_cast<uint64_t>(found->as_int64());
    }
    /// A number, or such as "512M".
    uint64_t bytes(std::string_view key, uint64_t otherwise) const
    {
        const boost::json::value *found = find(key);
        if (!found || found->is_int64()) return count(key, otherwise);
        const auto parsed = found->is_string() ? litbuild::parse_bytes(found->as_string()) : std::nullopt;
        if (!parsed) fail(litbuild::quote(key) + " must be a number of bytes, or such as \"512M\" or \"2G\"");
        return *parsed;
    }
    double positive(std::string_view key, double otherwise) const
    {
        const boost::json::value *found = find(key);
        if (!found) return otherwise;
        boost::system::error_code error;
        const double value = found->is_number() ? found->to_number<double>(error) : 0;
        if (!(value >= 0.01) || value > 100'000) fail(litbuild::quote(key) + " must be a number from 0.01 on");
        return value;
    }
    std::chrono::milliseconds duration(std::string_view key, std::chrono::milliseconds otherwise) const
    {
        const boost::json::value *found = find(key);
        if (!found) return otherwise;
        const auto parsed = found->is_string() ? litbuild::parse_duration(found->as_string()) : std::nullopt;
        if (!parsed || parsed->count() == 0) fail(litbuild::quote(key) + " must be a duration such as \"500ms\" or \"10s\"");
        return *parsed;
    }
    /// One of a few words.
    template <class Enum>
    Enum one_of(std::string_view key, Enum otherwise, std::initializer_list<std::pair<const char *, Enum>> known) const
    {
        const boost::json::value *found = find(key);
        if (!found) return otherwise;
        std::string words;
        for (const auto &each : known) {
            if (found->is_string() && found->as_string() == each.first) return each.second;
            words += (words.empty() ? "" : ", ") + std::string(each.first);
        }
        fail(litbuild::quote(key) + " must be one of " + words);
    }

private:
    std::string text_of(const boost::json::value &value, std::string_view key) const
    {
        if (!value.is_string()) fail(litbuild::quote(key) + " must be a text");
        for (const char c : value.as_string())
            if (static_cast<unsigned char>(c) < 0x20) fail(litbuild::quote(key) + " contains a control character");
        return std::string(value.as_string());
    }

    std::string where_;
    const boost::json::object *object_;
};

/// Absolute, and no part of it leads elsewhere.
inline void check_path(const Fields &in, const std::string &path, const char *what)
{
    const std::string object = std::string(what) + " " + litbuild::quote(path);
    if (!path.starts_with('/')) in.fail(object + " is no absolute path");
    for (size_t at = 0; at < path.size();) {
        const size_t end = std::min(path.find('/', at), path.size());
        const std::string part = path.substr(at, end - at);
        if (part.empty() && at > 0) in.fail(object + " contains an empty part");
        if (part == "." || part == "..") in.fail(object + " contains " + litbuild::quote(part));
        at = end + 1;
    }
}

}  // namespace service
