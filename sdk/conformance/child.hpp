// A check in a process of its own.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>

#include "conformance.hpp"
#include "context.hpp"

namespace litbuild::conformance {

/// A folder below $TMPDIR that vanishes with it.
class WorkFolder {
public:
    /// Throws litbuild::Error.
    WorkFolder();
    ~WorkFolder();
    WorkFolder(const WorkFolder &) = delete;
    WorkFolder &operator=(const WorkFolder &) = delete;
    const std::filesystem::path &path() const noexcept { return path_; }

private:
    std::filesystem::path path_;
};

/// What a body came to, as it goes through a pipe: one letter, and the text.
enum class Letter : char { passed = 'P', failed = 'F', skipped = 'S' };
/// Throws nothing: what the body throws is what it came to.
std::string carried_out(const std::function<std::string()> &body);

/// Runs `body` in a child, and ends whatever that leaves behind. What the body throws as Failure or Skip is its result, and
/// what it returns is `text` where it passed. Throws litbuild::Error.
Result in_child(const std::filesystem::path &output, std::chrono::milliseconds limit, const std::function<std::string()> &body);

/// The page that this process shares with its parent; null: it has none.
Shared *shared() noexcept;

}  // namespace litbuild::conformance
