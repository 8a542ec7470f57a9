// A trial under the tracer, and the ways in which it is told how it went.
#pragma once

#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <random>

#include "helpers/model_support.hpp"
#include "store/calls.hpp"
#include "store/operations.hpp"

namespace support {

/// Two reports, which a child writes and its parent reads.
class Reports {
public:
    Reports() : fd_(::memfd_create("reports", 0))
    {
        void *memory = MAP_FAILED;
        if (fd_ >= 0 && ::ftruncate(fd_, 2 * sizeof(Report)) == 0)
            memory = ::mmap(nullptr, 2 * sizeof(Report), PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
        if (memory == MAP_FAILED) throw std::runtime_error("no memory to share");
        both_ = new (memory) Report[2];
    }
    ~Reports()
    {
        ::munmap(both_, 2 * sizeof(Report));
        ::close(fd_);
    }
    Reports(const Reports &) = delete;
    Reports &operator=(const Reports &) = delete;
    const Report &operator[](int number) const { return both_[number]; }
    int fd() const { return fd_; }

private:
    int fd_ = -1;
    Report *both_ = nullptr;
};

/// What the program that is killed is to do: an operation, held behind it, and once more when it is told to finish; the
/// second try of another process; a repair.
enum class Task { act, again, repair };

/// In a process of its own that was just started, its calls judged one by one.
inline std::unique_ptr<TracedProcess> run_traced(const Trial &trial, const Operation &operation, const Reports &reports, Task task, const Judge &judge)
{
    const std::string program = helper("store_actor"), root = trial.root().string(), what = std::to_string(static_cast<int>(task)), fd = std::to_string(reports.fd());
    return std::make_unique<TracedProcess>(judge, [&] {
        ::execl(program.c_str(), program.c_str(), root.c_str(), operation.name, what.c_str(), fd.c_str(), nullptr);
    });
}

/// Which of many points are tried: all where the test is long, or every n-th, from one on that differs from run to run.
struct Stride {
    int step = 1;
    int first = 1;

    /// `some` of `total` points.
    static Stride of(int total, int some)
    {
        const int step = is_long() ? 1 : std::max(1, total / some);
        return {step, 1 + static_cast<int>(std::random_device()() % static_cast<unsigned>(step))};
    }
};

/// What went wrong, at which point.
class Wrongs {
public:
    void add(const std::string &point, const std::string &what) { all_.push_back(point + ": " + what); }
    size_t count() const { return all_.size(); }
    bool too_many() const { return all_.size() >= (is_long() ? 2000 : 40); }
    void print() const
    {
        for (size_t i = 0; i < std::min<size_t>(all_.size(), 100); ++i) std::printf("    %s\n", all_[i].c_str());
        std::fflush(stdout);
    }
    std::string first() const { return all_.empty() ? "" : all_.front(); }

private:
    std::vector<std::string> all_;
};

/// Says why not.
inline bool can_try(const char *test, const Operation &operation)
{
    static const bool traces = can_trace();
    const bool mounts = operation.archive == Archive::here || Ground::get().can_mount();
    if (!traces) std::printf("SKIPPED: %s: the calls of a process cannot be traced here\n", test);
    else if (!mounts) std::printf("SKIPPED: %s, %s: this process may not mount\n", test, operation.name);
    return traces && mounts;
}

}  // namespace support
