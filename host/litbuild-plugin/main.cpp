// litbuild-plugin: what a plugin is, and whether it keeps the contract. For authors of plugins, in any language.
#include <fnmatch.h>

#include <cstdio>
#include <iostream>

#include <CLI/CLI.hpp>

#include <litbuild/names.hpp>
#include <litbuild/version.hpp>

#include "report.hpp"
#include "subject.hpp"

namespace litbuild::plugin {
namespace {

// The exit status, a contract with the scripts that call it.
enum Exit : int {
    good = 0,
    bad = 1,         ///< check: something failed; probe: it cannot be used
    usage = 2,
    not_found = 3,   ///< no such file
    broken = 6,      ///< the program itself could not do it
};

struct Options {
    std::string file;
    std::optional<std::string> config;
    std::optional<std::string> runner;
    std::vector<std::string> only;
    std::string time_limit = "20s";
    bool list = false;
    bool json = false;
};

std::vector<conformance::Check> chosen(const Options &options)
{
    const std::vector<conformance::Check> all = conformance::all_checks();
    if (options.only.empty()) return all;
    std::vector<conformance::Check> out;
    for (const conformance::Check &check : all)
        if (std::any_of(options.only.begin(), options.only.end(),
                        [&](const std::string &pattern) { return ::fnmatch(pattern.c_str(), check.name, 0) == 0; }))
            out.push_back(check);
    for (const std::string &pattern : options.only)
        if (std::none_of(all.begin(), all.end(),
                         [&](const conformance::Check &check) { return ::fnmatch(pattern.c_str(), check.name, 0) == 0; }))
            throw Error(Code::invalid, "--only " + pattern + ": no check has such a name; --list tells them");
    return out;
}

std::chrono::milliseconds limit_of(const Options &options)
{
    const std::optional<std::chrono::milliseconds> limit = parse_duration(options.time_limit);
    if (!limit || limit->count() == 0)
        throw Error(Code::invalid, "--time-limit " + quote(options.time_limit) + ": is no time, such as 500ms, 10s, 2m");
    return *limit;
}

int probe(const Options &options)
{
    const conformance::Subject subject = make_subject(options.file, std::nullopt, std::nullopt);
    const conformance::Description found = conformance::describe(subject.library, limit_of(options));
    std::cout << (options.json ? as_json(found, options.file) : as_text(found, options.file));
    const std::string problem = manifest_problem(found, subject.library);
    if (problem.empty()) return Exit::good;
    std::cerr << "litbuild-plugin: " << problem << "\n";
    return Exit::bad;
}

int check(const Options &options)
{
    const std::vector<conformance::Check> checks = chosen(options);
    if (options.list) {
        std::cout << (options.json ? as_json(checks) : as_text(checks));
        return Exit::good;
    }
    if (options.file.empty()) throw Error(Code::invalid, "check: FILE is missing");
    const conformance::Subject subject = make_subject(options.file, options.config, options.runner);
    const std::vector<conformance::Result> results =
        conformance::run(subject, checks, limit_of(options), [&](const auto &result) {
            if (!options.json) std::cout << as_text(result) << std::flush;
        });
    if (options.json) std::cout << as_json(results, options.file);
    else std::cout << totals(results) << "\n";
    if (results.empty())
        throw Error(Code::invalid, options.file + ": none of the chosen checks is about an interface that it has");
    return all_good(results) ? Exit::good : Exit::bad;
}

int run(int argc, char **argv)
{
    Options options;
    CLI::App app("litbuild-plugin: what a plugin is, and whether it keeps the contract", "litbuild-plugin");
    app.require_subcommand(1)->set_version_flag("--version", "litbuild-plugin " LITBUILD_VERSION);
    CLI::App &probing = *app.add_subcommand("probe", "print what a plugin says of itself");
    CLI::App &checking = *app.add_subcommand("check", "run the conformance checks; exit status 1 if one fails");
    for (CLI::App *each : {&probing, &checking}) {
        each->add_option("FILE", options.file, "the plugin's library (NAME.so)")->required(each == &probing);
        each->add_flag("--json", options.json, "print one JSON value");
        each->add_option("--time-limit", options.time_limit, "what takes longer hangs (default: 20s; of each check)")
            ->option_text("DUR");
    }
    checking.add_option("CONFIG", options.config,
                        "what its interfaces are opened with, a JSON file: {\"store\": {...}, \"status\": {...}, "
                        "\"process\": {...}}; @FOLDER@ in it is each check's own empty folder");
    checking.add_flag("--list", options.list, "print the checks and what each is about, and run none");
    checking.add_option("--only", options.only, "only checks whose names match, such as 'store.list-*'; may be repeated")
        ->option_text("PATTERN")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    checking
        .add_option("--runner", options.runner,
                    "litbuild-runner, for process controllers (default: the one beside this program)")
        ->option_text("FILE");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError &e) {
        const int status = app.exit(e);
        return status == 0 ? Exit::good : Exit::usage;
    }
    try {
        return probing.parsed() ? probe(options) : check(options);
    } catch (const Error &e) {
        std::cerr << "litbuild-plugin: " << e.what() << "\n";
        switch (e.code()) {
        case Code::invalid: return Exit::usage;
        case Code::not_found: return Exit::not_found;
        case Code::unavailable:
        case Code::internal: return Exit::bad;
        default: return Exit::broken;
        }
    }
}

}  // namespace
}  // namespace litbuild::plugin

int main(int argc, char **argv)
{
    try {
        return litbuild::plugin::run(argc, argv);
    } catch (const std::exception &e) {
        std::fprintf(stderr, "litbuild-plugin: %s\n", e.what());
        return litbuild::plugin::Exit::broken;
    }
}
