// Reading JSON that people write: every value is checked, and every error names the key and starts with the object.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include <boost/json.hpp>

#include <litbuild/process.hpp>

namespace litbuild::detail {

class Reading {
public:
    /// `where` starts the errors: "spec", "spec: step 2".
    Reading(const boost::json::value &value, std::string where);

    const std::string &where() const noexcept { return where_; }
    /// Throws Code::invalid where the object has another key.
    void allow(std::initializer_list<std::string_view> keys) const;
    bool has(std::string_view key) const { return object_.contains(key); }
    const boost::json::value *find(std::string_view key) const { return object_.if_contains(key); }

    std::string text(std::string_view key, const std::string &otherwise) const;
    /// "10s"; zero is only taken where `zero` is true.
    std::chrono::milliseconds duration(std::string_view key, std::chrono::milliseconds otherwise, bool zero) const;
    /// A whole number above 0; 0 where the key is not there.
    uint64_t count(std::string_view key) const;
    /// A count of bytes, or "512M", "2G"; 0 where the key is not there.
    uint64_t bytes(std::string_view key) const;
    std::vector<std::string> words(std::string_view key) const;
    /// [{"signal": "TERM", "grace": "10s"}, {"signal": "KILL"}]; the last one must be a kill.
    StopPlan stop_plan(std::string_view key, const StopPlan &otherwise) const;

    [[noreturn]] void fail(const std::string &why) const;

private:
    const boost::json::object &object_;
    std::string where_;
};

/// Parses; Code::invalid with the position where it is not JSON, too large (1 MiB) or too deep.
boost::json::value parse_json(std::string_view text, const std::string &where);

}  // namespace litbuild::detail
