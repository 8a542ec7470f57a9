// The conformance kit: whether a plugin keeps the contract of <litbuild/plugin.h>, found out by calling its tables as an
// engine would, and as no engine should have to.
//
// Each check runs in a child process that loads the library anew, so that a crash, a hang or a process that ends itself is a
// result with the name of the check and of the function that was being called. The kit knows the contract and nothing else:
// it uses no engine. The program litbuild-plugin is its command line.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace litbuild::conformance {

class Context;

/// What is checked.
struct Subject {
    std::filesystem::path library;
    /// For `open` of each interface, a JSON object; every "@FOLDER@" in it is replaced by the check's own empty folder.
    std::string store = R"({"root":"@FOLDER@"})";
    std::string status = "{}";
    std::string process = "{}";
    /// litbuild-runner, the command that a process controller is given to start. Empty: its checks are skipped.
    std::filesystem::path runner;
};

struct Check {
    const char *name;      ///< "store.list-each-once"; what stands before the dot is the interface, or "library"
    const char *promise;   ///< what is expected, in one sentence
    const char *where;     ///< the declaration that says so: "lb_store.list"
    void (*run)(Context &);
};

enum class Verdict {
    passed,
    failed,    ///< `text`: what was expected, and what came instead
    crashed,   ///< the child was ended by a signal
    ended,     ///< the plugin ended the process
    hung,      ///< it was not done at the time limit
    skipped,   ///< `text`: why; the plugin does not support it, or something it needs is missing
};

/// "passed", "failed", ...
const char *name(Verdict verdict) noexcept;

struct Result {
    const Check *check = nullptr;
    Verdict verdict = Verdict::passed;
    std::string text;        ///< one or more lines; empty where it passed
    std::string during;      ///< the function that was being called when it crashed, ended or hung; empty: none
    std::string printed;     ///< what came on standard output and error, cut to its last 4096 bytes
    std::chrono::milliseconds took{0};
};

/// What a library says of itself.
struct Description {
    std::string name;
    std::string version;
    std::string abi;                       ///< "1.2"
    struct Table {
        std::string id;                    ///< "litbuild.store/1"
        unsigned size = 0;                 ///< of the table, as its author compiled it
        bool parallel = false;
        std::vector<std::string> functions, missing;
    };
    std::vector<Table> tables;
};

/// Every check, in the order in which they are run.
std::vector<Check> all_checks();

/// Runs the checks for the interfaces that the library has, one after the other, and tells each result as it is there. Where
/// the library cannot be used at all only those named "library." are run. Makes folders below $TMPDIR (/tmp) and removes
/// them. Ends every descendant of this process, also those that a plugin left behind: for programs that do nothing else.
/// Throws litbuild::Error(Code::unavailable): no folder or no child process could be made.
std::vector<Result> run(const Subject &subject, std::span<const Check> checks, std::chrono::milliseconds limit,
                        const std::function<void(const Result &)> &each);

/// Loads the library in a child process and asks it. Throws litbuild::Error with what the loader says, and Code::internal
/// where it crashes, hangs or ends the process.
Description describe(const std::filesystem::path &library, std::chrono::milliseconds limit);

}  // namespace litbuild::conformance
