#include "options.hpp"

#include <algorithm>
#include <string_view>

#include <CLI/CLI.hpp>

#include <litbuild/version.hpp>

#include "exit_status.hpp"
#include "print.hpp"
#include "text.hpp"

namespace litbuild::cli {
namespace {

/// Takes the words as they were typed: CLI11's conversions would read '[a,b]' as a list and '{}' as nothing.
void once(CLI::App &app, const char *name, const char *type, std::optional<std::string> &into, const char *help)
{
    app.add_option_function<std::string>(name, [&into](const std::string &text) { into = text; }, help)
        ->type_name(type)
        ->allow_extra_args(false);
}

void once(CLI::App &app, const char *name, const char *type, std::string &into, const char *help)
{
    app.add_option(name, into, help)->type_name(type)->allow_extra_args(false);
}

void many(CLI::App &app, const char *name, const char *type, std::vector<std::string> &into, const char *help)
{
    CLI::Option *option = app.add_option(name, help)->type_name(type);
    option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)->allow_extra_args(false);
    app.parse_complete_callback([option, &into, before = app.get_parse_complete_callback_or_nothing()] {});
}

}  // namespace
}  // namespace litbuild::cli
