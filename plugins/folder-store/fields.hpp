// Members of JSON objects that somebody else wrote: what is not there, of the wrong type or out of range is not told.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <boost/json.hpp>

#include <litbuild/status.hpp>

namespace litbuild::folder {

/// "2026-11-23T03:37:12.123456Z", or with an offset; 0: not a time, or one outside 1970 to 2261.
Timestamp parse_time(std::string_view text) noexcept;

/// None: `text` is no JSON, or no JSON object.
std::optional<boost::json::object> parse_object(std::string_view text);

namespace fields {

using boost::json::object;

std::string text(const object &from, std::string_view key);
/// Replaces `to` where there is a text, and not an empty one.
void set(std::string &to, const object &from, std::string_view key);
std::optional<int64_t> integer(const object &from, std::string_view key) noexcept;
/// 0 to INT_MAX: exit codes and signals.
std::optional<int> small(const object &from, std::string_view key) noexcept;
/// Of `count` things.
std::optional<size_t> index(const object &from, std::string_view key, size_t count) noexcept;
/// A number, brought into 0 to 1.
std::optional<double> fraction(const object &from, std::string_view key) noexcept;
/// 0: none.
Timestamp time(const object &from, std::string_view key);
/// One that is written: neither `unknown` nor `lost`.
std::optional<State> state(const object &from, std::string_view key);
/// Null: none.
const boost::json::object *below(const object &from, std::string_view key) noexcept;
/// No number in it was beyond all bounds, and so read as infinity, which JSON cannot say.
bool is_finite(const boost::json::value &value) noexcept;
bool is_finite(const object &from) noexcept;
const boost::json::array *list(const object &from, std::string_view key) noexcept;

}  // namespace fields
}  // namespace litbuild::folder
