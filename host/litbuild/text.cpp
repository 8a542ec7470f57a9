#include "text.hpp"

#include <signal.h>
#include <string.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

namespace litbuild::cli {
namespace {

/// Characters, taken to be one column wide each.
size_t width(std::string_view text)
{
    return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

template <class... Numbers>
std::string format(const char *how, Numbers... numbers)
{
    char out[64];
    std::snprintf(out, sizeof out, how, numbers...);
    return out;
}

}  // namespace

std::string local_time(Timestamp time)
{
    if (time == 0) return "-";
    const time_t seconds = static_cast<time_t>(time / 1'000'000'000);
    tm parts{};
    ::localtime_r(&seconds, &parts);
    char out[64];
    return std::string(out, ::strftime(out, sizeof out, "%Y-%m-%d %H:%M:%S", &parts));
}

std::string time_taken(Timestamp started, Timestamp ended)
{
    if (started == 0) return "-";
    if (ended == 0) {
        using namespace std::chrono;
        ended = duration_cast<nanoseconds>(system_clock::now().time_since_epoch()).count();
    }
    const int64_t tenths = std::max<int64_t>(0, ended - started) / 100'000'000;
    const long long seconds = tenths / 10;
    if (seconds < 60) return format("%lld.%llds", seconds, static_cast<long long>(tenths % 10));
    if (seconds < 3600) return format("%lldm %02llds", seconds / 60, seconds % 60);
    if (seconds < 86400) return format("%lldh %02lldm", seconds / 3600, seconds / 60 % 60);
    return format("%lldd %02lldh", seconds / 86400, seconds / 3600 % 24);
}

std::string size_text(uint64_t bytes)
{
    static constexpr const char *units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    double value = static_cast<double>(bytes);
    size_t unit = 0;
    for (; value >= 999.5; value /= 1000) ++unit;
    return format(unit > 0 && value < 9.95 ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

std::string percent(const std::optional<double> &progress)
{
    if (!progress) return "-";
    // Rounded down: 100% is said of what is done.
    return format("%d%%", static_cast<int>(std::clamp(*progress, 0.0, 1.0) * 100.0 + 1e-9));
}

std::string exit_text(const std::optional<int> &code, int signal)
{
    if (signal > 0) {
        const char *known = ::sigabbrev_np(signal);
        return "signal " + (known ? std::string(known) : std::to_string(signal));
    }
    return code ? std::to_string(*code) : "-";
}

std::string joined(const std::vector<std::string> &words)
{
    return joined(std::vector<std::string_view>(words.begin(), words.end()));
}

std::string joined(const std::vector<std::string_view> &words)
{
    std::string out;
    for (const std::string_view word : words) out += (out.empty() ? "" : ", ") + escaped(word);
    return out.empty() ? "-" : out;
}

Table::Table(std::vector<Cell> head)
{
    for (Cell &cell : head) cell.colour = Colour::bold;
    rows_.push_back(std::move(head));
}

std::string Table::text() const
{
    std::vector<size_t> widths(rows_.front().size(), 0);
    for (const std::vector<Cell> &row : rows_)
        for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i].text));
    std::string out;
    for (const std::vector<Cell> &row : rows_) {
        for (size_t i = 0; i < row.size(); ++i) {
            out += coloured(row[i].text, row[i].colour);
            if (i + 1 < row.size()) out.append(widths[i] - width(row[i].text) + 2, ' ');
        }
        out += '\n';
    }
    return out;
}

}  // namespace litbuild::cli
