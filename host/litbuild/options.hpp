// What the user asked for, as text: the parser knows the shape of a command, the commands know what is a good value.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace litbuild::cli {

struct Options {
    std::optional<std::string> root;
    std::optional<std::string> config;
    bool json = false;

    std::string team;
    std::optional<std::string> one_team;
    std::string id;
    std::vector<std::string> ids;       ///< run ids and ranges of them
    std::optional<std::string> name;
    std::optional<std::string> spec;
    std::vector<std::string> words;     ///< behind `--`: the command to launch
    std::vector<std::string> tags;
    std::vector<std::string> add;
    std::vector<std::string> remove;
    std::optional<std::string> tag;
    std::optional<std::string> state;
    std::optional<std::string> limit;
    std::optional<std::string> since;
    bool count = false;
    std::optional<std::string> before;
    std::optional<std::string> timeout;
    std::optional<std::string> grace;
    std::optional<std::string> reason;
    std::optional<std::string> older_than;
    std::optional<std::string> keep_last;
    std::vector<std::string> keep_tags;
    bool archived = false;
    bool all = false;
    bool follow = false;
    bool removes = false;
    bool dry_run = false;
    bool repair = false;
};

/// The arguments and options that commands are made of.
enum Take : unsigned {
    takes_nothing = 0,
    takes_team = 1u << 0,
    takes_build = 1u << 1,    ///< TEAM and ID
    takes_spec = 1u << 2,     ///< --tag any number of times, --name, --spec, and a command behind `--`
    takes_filter = 1u << 3,   ///< --tag, --state, --limit, --before, --since, --count
    takes_follow = 1u << 4,
    takes_timeout = 1u << 5,
    takes_stop = 1u << 6,     ///< --grace, --reason
    takes_edit = 1u << 7,     ///< --add, --remove
    takes_builds = 1u << 8,   ///< TEAM, any number of IDs and ranges, --tag and --state
    takes_scope = 1u << 9,    ///< --archived, --all
    takes_policy = 1u << 10,  ///< --older-than, --keep-last, --keep-tag, --remove, --dry-run
    takes_repair = 1u << 11,  ///< one TEAM or none, --repair
};

struct Command {
    const char *name;
    const char *help;
    unsigned takes;
    int (*run)(const Options &options);
};

/// What a command line comes to: a command to run, or the exit status of one that is done with (help, wrong usage).
struct Request {
    const Command *command = nullptr;
    Options options;
    int status = 0;
};

Request parse(int argc, char **argv, std::span<const Command> commands);

}  // namespace litbuild::cli
