// What a check works with, in its child process.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include <litbuild/abi.hpp>

#include "conformance.hpp"

namespace litbuild::conformance {

/// Ends a check: the promise was not kept.
struct Failure {
    std::string text;
};

/// Ends a check: there is nothing to look at.
struct Skip {
    std::string why;
};

[[noreturn]] inline void fail(std::string text) { throw Failure{std::move(text)}; }
[[noreturn]] inline void skip(std::string why) { throw Skip{std::move(why)}; }

inline void expect(bool condition, const std::string &text)
{
    if (!condition) fail(text);
}

/// `what: expected A, got B`
inline void expect_same(const std::string &what, const std::string &expected, const std::string &got)
{
    if (expected != got) fail(what + ": expected " + expected + ", got " + got);
}

/// What child and parent share, so that the parent knows where a child was when it ended. Written by any thread; a function
/// that is told wrong for that is no loss.
struct Shared {
    char calling[128];
};

/// Marks the function that is being called, for as long as it lives.
class Calling {
public:
    explicit Calling(const std::string &function);
    ~Calling();
    Calling(const Calling &) = delete;
    Calling &operator=(const Calling &) = delete;
};

class Context {
public:
    /// `output`: a file that standard output and error of this process go to.
    Context(const Subject &subject, std::filesystem::path folder, std::filesystem::path output)
        : subject_(subject), folder_(std::move(folder)), output_(std::move(output))
    {
    }

    const Subject &subject() const noexcept { return subject_; }
    /// Empty at first, and this check's alone.
    const std::filesystem::path &folder() const noexcept { return folder_; }
    /// The configuration of an interface, with the folder filled in.
    std::string config(std::string_view interface) const;
    /// Loads the library, once. Fails where that is not possible.
    const lb_plugin &plugin();
    /// Of the interface "store", "status" or "process", in the size that this kit knows. None: the library has no such one.
    template <class Table>
    std::optional<Table> table(std::string_view interface)
    {
        const void *found = raw_table(interface);
        if (!found) return std::nullopt;
        return abi::copy(static_cast<const Table *>(found));
    }
    const void *raw_table(std::string_view interface);
    /// What this process has printed so far.
    std::string printed() const;

private:
    const Subject &subject_;
    std::filesystem::path folder_;
    std::filesystem::path output_;
    std::optional<lb_plugin> plugin_;
};

/// "litbuild.store/1" of "store".
std::string interface_id(std::string_view interface);

/// Loads a library and finds its symbol. Fails with the loader's words.
const lb_plugin *load(const std::filesystem::path &library);

}  // namespace litbuild::conformance
