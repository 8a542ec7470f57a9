#include <folder-store/fields.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

namespace litbuild::folder {

namespace json = boost::json;

namespace {

// Reads numbers and signs off the front of a time.
struct Scan {
    std::string_view rest;
    bool good = true;

    bool sign(std::string_view any) noexcept
    {
        if (rest.empty() || any.find(rest.front()) == any.npos) return false;
        rest.remove_prefix(1);
        return true;
    }
    void need(std::string_view any) noexcept { good = sign(any) && good; }
    int digits(size_t count) noexcept
    {
        int value = 0;
        for (size_t i = 0; i < count; ++i) {
            if (rest.empty() || rest.front() < '0' || rest.front() > '9') {
                good = false;
                return 0;
            }
            value = value * 10 + (rest.front() - '0');
            rest.remove_prefix(1);
        }
        return value;
    }
};

}  // namespace

Timestamp parse_time(std::string_view text) noexcept
{
    using namespace std::chrono;
    Scan scan{text};
    const int y = scan.digits(4);
    scan.need("-");
    const int m = scan.digits(2);
    scan.need("-");
    const int d = scan.digits(2);
    scan.need("Tt ");
    const int hour = scan.digits(2);
    scan.need(":");
    const int minute = scan.digits(2);
    scan.need(":");
    const int second = scan.digits(2);
    int64_t nanoseconds = 0;
    if (scan.good && scan.sign(".")) {
        int64_t unit = 100'000'000;
        nanoseconds = scan.digits(1) * unit;
        while (!scan.rest.empty() && scan.rest.front() >= '0' && scan.rest.front() <= '9')
            nanoseconds += scan.digits(1) * (unit /= 10);
    }
    int64_t offset = 0;
    if (scan.good && !scan.sign("Zz")) {
        const bool west = scan.sign("-");
        if (!west) scan.need("+");
        const int hours = scan.digits(2);
        scan.need(":");
        const int minutes = scan.digits(2);
        offset = (west ? -60 : 60) * (hours * 60 + minutes);
    }
    const year_month_day date{year(y), month(static_cast<unsigned>(m)), day(static_cast<unsigned>(d))};
    if (!scan.good || !scan.rest.empty() || !date.ok() || y < 1970 || y > 2261) return 0;
    if (hour > 23 || minute > 59 || second > 60) return 0;
    const int64_t days = sys_days(date).time_since_epoch().count();
    const int64_t seconds = ((days * 24 + hour) * 60 + minute) * 60 + second - offset;
    return std::max<int64_t>(0, seconds * 1'000'000'000 + nanoseconds);
}

std::optional<json::object> parse_object(std::string_view text)
{
    json::error_code error;
    json::value value = json::parse(text, error);
    if (error || !value.is_object()) return std::nullopt;
    return std::move(value.get_object());
}

namespace fields {

bool is_finite(const object &from) noexcept
{
    return std::all_of(from.begin(), from.end(), [](const auto &member) { return is_finite(member.value()); });
}

bool is_finite(const json::value &value) noexcept
{
    if (const double *number = value.if_double()) return std::isfinite(*number);
    if (const json::array *items = value.if_array())
        return std::all_of(items->begin(), items->end(), [](const json::value &item) { return is_finite(item); });
    const object *members = value.if_object();
    return !members || is_finite(*members);
}

std::string text(const object &from, std::string_view key)
{
    const json::value *value = from.if_contains(key);
    const json::string *found = value ? value->if_string() : nullptr;
    return found ? std::string(*found) : std::string();
}

std::optional<int64_t> integer(const object &from, std::string_view key) noexcept
{
    const json::value *value = from.if_contains(key);
    if (!value) return std::nullopt;
    if (const int64_t *number = value->if_int64()) return *number;
    return std::nullopt;
}

std::optional<int> small(const object &from, std::string_view key) noexcept
{
    const auto number = integer(from, key);
    if (!number || *number < 0 || *number > std::numeric_limits<int>::max()) return std::nullopt;
    return static_cast<int>(*number);
}

std::optional<double> fraction(const object &from, std::string_view key) noexcept
{
    const json::value *value = from.if_contains(key);
    if (!value || !value->is_number()) return std::nullopt;
    const double number = value->is_double() ? value->get_double()
                        : value->is_int64()  ? static_cast<double>(value->get_int64())
                                             : static_cast<double>(value->get_uint64());
    if (!std::isfinite(number)) return std::nullopt;
    return std::clamp(number, 0.0, 1.0);
}

Timestamp time(const object &from, std::string_view key)
{
    const json::value *value = from.if_contains(key);
    const json::string *found = value ? value->if_string() : nullptr;
    return found ? parse_time(*found) : 0;
}

std::optional<State> state(const object &from, std::string_view key)
{
    const auto found = parse_state(text(from, key));
    return found && (is_active(*found) || is_terminal(*found)) ? found : std::nullopt;
}

const json::object *below(const object &from, std::string_view key) noexcept
{
    const json::value *value = from.if_contains(key);
    return value ? value->if_object() : nullptr;
}

std::optional<size_t> index(const object &from, std::string_view key, size_t count) noexcept
{
    const auto number = integer(from, key);
    if (!number || *number < 0 || static_cast<uint64_t>(*number) >= count) return std::nullopt;
    return static_cast<size_t>(*number);
}

const json::array *list(const object &from, std::string_view key) noexcept
{
    const json::value *value = from.if_contains(key);
    return value ? value->if_array() : nullptr;
}

void set(std::string &to, const object &from, std::string_view key)
{
    if (std::string found = text(from, key); !found.empty()) to = std::move(found);
}

}  // namespace fields
}  // namespace litbuild::folder
