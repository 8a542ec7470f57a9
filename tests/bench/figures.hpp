// What a benchmark tells: a line for people, and, where LITBUILD_FIGURES names a file, a line of JSON in it for the report.
#pragma once

#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

namespace figures {

using Milliseconds = double;

inline Milliseconds since(std::chrono::steady_clock::time_point begin)
{
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
}

template <class Body>
Milliseconds time_of(const Body &body)
{
    const auto begin = std::chrono::steady_clock::now();
    body();
    return since(begin);
}

/// Nanoseconds since 1970-01-01, as file systems count them.
inline int64_t wall()
{
    timespec time{};
    ::clock_gettime(CLOCK_REALTIME, &time);
    return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

inline int64_t written_at(const std::string &file)
{
    struct stat info{};
    ::stat(file.c_str(), &info);
    return info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec;
}

inline double median(std::vector<double> values)
{
    std::sort(values.begin(), values.end());
    return values.at(values.size() / 2);
}

/// Ours beside another, from one run.
struct Figure {
    std::string what{};
    double ours = 0;
    std::string other{};        ///< empty: nothing stands beside it
    double theirs = 0;
    std::string unit = "ms";
    std::string line{};         ///< of the plot of cost against size; empty: none
    double size = 0;
};

inline void put_line(const std::string &line)
{
    const char *file = ::getenv("LITBUILD_FIGURES");
    if (file && *file) std::ofstream(file, std::ios::app) << line << std::endl;
}

inline std::string quoted(const std::string &text)
{
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
    }
    return out + "\"";
}

inline void tell(const Figure &figure)
{
    std::printf("%-58s %10.2f %-8s", figure.what.c_str(), figure.ours, figure.unit.c_str());
    char numbers[128];
    std::snprintf(numbers, sizeof numbers, "\"ours\":%.6g,\"theirs\":%.6g,\"size\":%.0f", figure.ours, figure.theirs, figure.size);
    if (!figure.other.empty())
        std::printf(" %-50s %10.2f %-8s ratio %6.2f", figure.other.c_str(), figure.theirs, figure.unit.c_str(), figure.ours / figure.theirs);
    std::printf("\n");
    std::fflush(stdout);
    put_line("{\"what\":" + quoted(figure.what) + ",\"other\":" + quoted(figure.other) + ",\"unit\":" + quoted(figure.unit) +
             ",\"line\":" + quoted(figure.line) + "," + numbers + "}");
}

inline void skip(const std::string &what, const std::string &why)
{
    std::printf("SKIPPED: %s: %s\n", what.c_str(), why.c_str());
    std::fflush(stdout);
    put_line("{\"skipped\":" + quoted(what) + ",\"why\":" + quoted(why) + "}");
}

/// The sum of the lines of /proc/PID/FILE that begin so.
inline long field_of(pid_t pid, const char *file, const char *field)
{
    std::ifstream in("/proc/" + std::to_string(pid) + "/" + file);
    long sum = 0;
    for (std::string line; std::getline(in, line);)
        if (line.rfind(field, 0) == 0) sum += std::strtol(line.c_str() + std::strlen(field), nullptr, 10);
    return sum;
}

/// Where a file system of this kind is mounted, with this option; empty: nowhere.
inline std::string mount_of(const std::string &kind, const std::string &option)
{
    std::ifstream in("/proc/mounts");
    for (std::string device, point, type, options, rest; in >> device >> point >> type >> options && std::getline(in, rest);)
        if (type == kind && (option.empty() || ("," + options + ",").find("," + option + ",") != std::string::npos)) return point;
    return "";
}

}  // namespace figures
