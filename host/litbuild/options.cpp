#include "options.hpp"

#include <algorithm>
#include <functional>
#include <string_view>

#include <CLI/CLI.hpp>

#include <litbuild/names.hpp>

#include "exit_status.hpp"
#include "print.hpp"

namespace litbuild::cli {
namespace {

/// A wrong usage, found after CLI11 was content.
struct Misuse {
    std::string sentence;
};

/// Declares what a command takes. Values are taken as they were typed, behind CLI11's back: its conversions would read
/// '[a,b]' as a list and '{}' as nothing.
class Declaring {
public:
    void once(CLI::App &app, const char *name, const char *type, std::optional<std::string> &into, const char *help)
    {
        const CLI::Option *option = declare(app, name, type, help);
        fills_.push_back([option, &into] {
            if (option->results().size() > 1) throw Misuse{option->get_name() + " is given more than once"};
            if (!option->results().empty()) into = option->results().front();
        });
    }
    void many(CLI::App &app, const char *name, const char *type, std::vector<std::string> &into, const char *help)
    {
        const CLI::Option *option = declare(app, name, type, help);
        fills_.push_back([option, &into] {
            into.insert(into.end(), option->results().begin(), option->results().end());
        });
    }
    CLI::Option *positional(CLI::App &app, const char *name, std::string &into, const char *help)
    {
        CLI::Option *option = declare(app, name, "", help);
        fills_.push_back([option, &into] {
            if (!option->results().empty()) into = option->results().front();
        });
        return option;
    }
    void positionals(CLI::App &app, const char *name, std::vector<std::string> &into, const char *help)
    {
        CLI::Option *option = declare(app, name, "", help)->expected(0, CLI::detail::expected_max_vector_size)->allow_extra_args();
        fills_.push_back([option, &into] {
            into.insert(into.end(), option->results().begin(), option->results().end());
        });
    }
    static CLI::Option *flag(CLI::App &app, const char *name, bool &into, const char *help)
    {
        return app.add_flag(name, into, help)->disable_flag_override();
    }
    void fill() const
    {
        for (const std::function<void()> &each : fills_) each();
    }

private:
    static CLI::Option *declare(CLI::App &app, const char *name, const char *type, const char *help)
    {
        CLI::Option *option = app.add_option(name)->description(help)->type_name(type);
        return option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)->allow_extra_args(false);
    }

    std::vector<std::function<void()>> fills_;
};

void declare_command(Declaring &declaring, CLI::App &app, unsigned takes, Options &into)
{
    const auto has = [takes](unsigned bits) { return (takes & bits) != 0; };
    if (has(takes_team | takes_build | takes_builds))
        declaring.positional(app, "TEAM", into.team, "owner of the build")->required();
    if (has(takes_build)) declaring.positional(app, "ID", into.id, "run id of the build")->required();
    if (has(takes_builds))
        declaring.positionals(app, "ID", into.ids, "run ids, and ranges of them such as 10-40; or --tag, --state");
    if (has(takes_spec)) {
        declaring.many(app, "--tag", "TAG", into.tags, "tag the build; may be repeated");
        declaring.once(app, "--name", "NAME", into.name, "name of the build");
        declaring.once(app, "--spec", "FILE", into.spec, "what to run, as JSON; '-' is standard input");
    }
    if (has(takes_scope)) {
        CLI::Option *archived = Declaring::flag(app, "--archived", into.archived, "only archived builds");
        Declaring::flag(app, "--all", into.all, "archived builds too")->excludes(archived);
    }
    if (has(takes_filter | takes_builds)) {
        declaring.once(app, "--tag", "TAG", into.tag, "only builds with this tag");
        declaring.once(app, "--state", "STATE", into.state, "only builds in this state");
    }
    if (has(takes_filter)) {
        declaring.once(app, "--limit", "N", into.limit, "at most so many");
        declaring.once(app, "--before", "ID", into.before, "only run ids below this one");
        declaring.once(app, "--since", "DUR", into.since, "only builds that were started no longer ago, such as 12h, 7d");
        Declaring::flag(app, "--count", into.count, "only how many, by state");
    }
    if (has(takes_follow)) Declaring::flag(app, "--follow", into.follow, "go on until the build has ended");
    if (has(takes_timeout))
        declaring.once(app, "--timeout", "DUR", into.timeout, "give up after this time, such as 500ms, 10s, 2m");
    if (has(takes_stop)) {
        declaring.once(app, "--grace", "DUR", into.grace, "time before it is killed, such as 500ms, 10s, 2m");
        declaring.once(app, "--reason", "TEXT", into.reason, "why, for the status");
    }
    if (has(takes_edit)) {
        declaring.many(app, "--add", "TAG", into.add, "add a tag; may be repeated");
        declaring.many(app, "--remove", "TAG", into.remove, "remove a tag; may be repeated");
    }
    if (has(takes_policy)) {
        declaring.once(app, "--older-than", "DUR", into.older_than, "only builds that ended longer ago, such as 12h, 90d");
        declaring.once(app, "--keep-last", "N", into.keep_last, "keep the newest N of the list");
        declaring.many(app, "--keep-tag", "TAG", into.keep_tags, "keep builds with this tag; may be repeated");
        Declaring::flag(app, "--remove", into.removes, "remove archived builds for ever, instead of archiving");
        Declaring::flag(app, "--dry-run", into.dry_run, "only say what would be done");
    }
    if (has(takes_repair)) {
        declaring.once(app, "TEAM", "", into.one_team, "the team to look at; none: all");
        Declaring::flag(app, "--repair", into.repair, "put right what can be put right without losing anything");
    }
}

/// Cuts off what stands behind the first `--`; the last argument first, as CLI11 wants them.
std::vector<std::string> before_dashes(int argc, char **argv, std::vector<std::string> &behind, bool &dashes)
{
    std::vector<std::string> out;
    for (int i = 1; i < argc; ++i) {
        const std::string_view word = argv[i];
        if (dashes) {
            behind.emplace_back(word);
        } else if (word == "--") {
            dashes = true;
        } else if (word.size() > 3 && word.starts_with("--") && word.find('=') == word.size() - 1) {
            // CLI11 would take the next argument for the value of `--name=`.
            out.emplace_back(word.substr(0, word.size() - 1));
            out.emplace_back();
        } else {
            out.emplace_back(word);
        }
    }
    std::reverse(out.begin(), out.end());
    return out;
}

std::string sentence_of(const CLI::ParseError &e, const CLI::App &app, const CLI::App *command, bool takes_words)
{
    const std::string_view text = e.what();
    if (dynamic_cast<const CLI::ArgumentMismatch *>(&e)) {
        if (text.find("flag override") == std::string_view::npos)
            return std::string(text.substr(0, text.find(':'))) + " needs a value";
        return "--" + std::string(text.substr(0, text.find(' '))) + " takes no value";
    }
    const std::vector<std::string> extras = app.remaining(true);
    if (extras.empty()) return std::string(text);
    // First of all: an option that nobody knows may be why something else is missing.
    if (extras.front().size() > 1 && extras.front().front() == '-') return "unknown option " + quote(extras.front());
    if (!dynamic_cast<const CLI::ExtrasError *>(&e)) return std::string(text);
    if (!command) return "unknown command " + quote(extras.front());
    return "unexpected argument " + quote(extras.front()) +
           (takes_words ? "; the command to run stands behind '--'" : "");
}

int misuse(const CLI::App *command, const std::string &sentence)
{
    const std::string name = command ? command->get_name() : "";
    complain((command ? name + ": " : "") + sentence + "\nsee 'litbuild " + (command ? name + " " : "") + "--help'");
    return Exit::usage;
}

bool is_any_of(const std::vector<std::string> &words, std::string_view word)
{
    return std::find(words.begin(), words.end(), word) != words.end();
}

const Command *find(std::span<const Command> commands, std::string_view name)
{
    for (const Command &command : commands)
        if (command.name == name) return &command;
    return nullptr;
}

}  // namespace

Request parse(int argc, char **argv, std::span<const Command> commands)
{
    Request out;
    Options &options = out.options;
    bool version = false;
    Declaring declaring;
    CLI::App app("litbuild: launches data builds, tells their status, stops, archives and restores them", "litbuild");
    app.fallthrough()->require_subcommand(0, 1)->set_help_flag("-h,--help", "print this help and exit");
    app.footer("--root, --config and --json may stand before or after the command.");
    declaring.once(app, "--root", "DIR", options.root,
                   "folder of the teams; else LITBUILD_ROOT, the configuration, /data");
    declaring.once(app, "--config", "FILE", options.config,
                   "configuration; else LITBUILD_CONFIG, /etc/litbuild/config.json");
    Declaring::flag(app, "--json", options.json, "print JSON: one value, or of several builds a line each");
    Declaring::flag(app, "--version", version, "print the version and exit");
    bool dashes = false;
    std::vector<std::string> arguments = before_dashes(argc, argv, options.words, dashes);
    // To declare all takes longer than most commands.
    const bool all = is_any_of(arguments, "-h") || is_any_of(arguments, "--help") ||
                     std::none_of(commands.begin(), commands.end(), [&](const Command &command) { return is_any_of(arguments, command.name); });
    for (const Command &command : commands)
        if (all || is_any_of(arguments, command.name))
            declare_command(declaring, *app.add_subcommand(command.name, command.help), command.takes, options);

    const CLI::App *chosen = nullptr;
    const auto look = [&] {
        const std::vector<CLI::App *> found = app.get_subcommands();
        if (found.empty()) return;
        chosen = found.front();
        out.command = find(commands, chosen->get_name());
    };
    try {
        app.parse(arguments);
        look();
        declaring.fill();
        if (version) out.command = find(commands, "version");
        if (dashes && out.command && (out.command->takes & takes_spec) == 0) throw Misuse{"unexpected argument '--'"};
    } catch (const CLI::CallForHelp &) {
        print(app.help());
        return {};
    } catch (const CLI::ParseError &e) {
        look();
        const bool takes_words = out.command && (out.command->takes & takes_spec) != 0;
        return {nullptr, {}, misuse(chosen, sentence_of(e, app, chosen, takes_words))};
    } catch (const Misuse &e) {
        return {nullptr, {}, misuse(chosen, e.sentence)};
    }
    if (out.command) return out;
    std::string names;
    for (const Command &command : commands) names += (names.empty() ? "" : " ") + std::string(command.name);
    complain("no command given\nusage: litbuild [--root DIR] [--config FILE] [--json] COMMAND ...\ncommands: " + names +
             "\nsee 'litbuild --help'");
    return {nullptr, {}, Exit::usage};
}

}  // namespace litbuild::cli
