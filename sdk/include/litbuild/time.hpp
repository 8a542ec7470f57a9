// Points in time, as they stand in files and in JSON.
#pragma once

#include <cstdint>
#include <cstdio>
#include <ctime>
#include <string>

namespace litbuild {

/// Nanoseconds since 1970-01-01 UTC; 0: not known.
using Timestamp = int64_t;

inline Timestamp now()
{
    timespec time{};
    ::clock_gettime(CLOCK_REALTIME, &time);
    return static_cast<Timestamp>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

/// RFC 3339 in UTC: "2024-06-08T16:40:31.123456Z"; empty for 0.
inline std::string to_rfc3339(Timestamp time)
{
    if (time == 0) return "";
    const time_t seconds = static_cast<time_t>(time / 1'000'000'000);
    tm parts{};
    ::gmtime_r(&seconds, &parts);
    char out[80];
    std::snprintf(out, sizeof out, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", parts.tm_year + 1900, parts.tm_mon + 1,
                  parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                  static_cast<int>(time % 1'000'000'000 / 1000));
    return out;
}

}  // namespace litbuild
