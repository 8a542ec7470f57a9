// The commands, each from the options to the exit status. They throw litbuild::Error.
#pragma once

#include <litbuild/engine.hpp>

#include "exit_status.hpp"
#include "options.hpp"
#include "print.hpp"

namespace litbuild::cli {

int launch(const Options &options);
int list(const Options &options);
int status(const Options &options);
int logs(const Options &options);
int wait(const Options &options);
int events(const Options &options);
int stop(const Options &options);
int archive(const Options &options);
int restore(const Options &options);
int remove(const Options &options);
int prune(const Options &options);
int path(const Options &options);
int tags(const Options &options);
int watch(const Options &options);
int doctor(const Options &options);
int teams(const Options &options);
int plugins(const Options &options);
int version(const Options &options);

/// "./data/" is WORKING-DIRECTORY/data. "..", which may lead across a link, stays as it is.
std::filesystem::path absolute(const std::string &path);
/// The engine over the root that the options, the environment and the configuration name. What it needs and is not
/// there is Code::unavailable.
Engine open_engine(const Options &options);
/// The build that TEAM and ID name; whether these are good names is said before anything is opened.
Build named_build(const Options &options);
/// Code::invalid, in one sentence, unless it is one.
std::chrono::milliseconds to_duration(const std::string &text);
int64_t to_runid(const std::string &text);
State to_state(const std::string &text);
/// A whole number above 0; `what` says what it is: "a limit".
uint64_t to_count(const std::string &text, const char *what);

}  // namespace litbuild::cli
