// prune: archives or removes what a policy lets go.
#include "several.hpp"

namespace litbuild::cli {
namespace {

Retention to_policy(const Options &options)
{
    Retention out;
    if (options.removes) out.action = Retention::Action::remove;
    if (options.dry_run) out.trial = Retention::Trial::yes;
    if (options.older_than) out.older_than = to_duration(*options.older_than);
    if (options.older_than && out.older_than.count() == 0)
        throw Error(Code::invalid, quote(*options.older_than) + ": not an age; an age is such as 12h or 90d");
    if (options.keep_last) out.keep_last = to_count(*options.keep_last, "a number of builds");
    for (const std::string &tag : options.keep_tags) check_tag(tag);
    out.keep_tags = options.keep_tags;
    if (!options.older_than && !options.keep_last)
        throw Error(Code::invalid, "prune: says nothing of what goes; give --older-than or --keep-last");
    return out;
}

Deed deed(const Options &options)
{
    if (options.dry_run) return options.removes ? Deed::would_be_removed : Deed::would_be_archived;
    return options.removes ? Deed::removed : Deed::archived;
}

}  // namespace

int prune(const Options &options)
{
    check_team(options.team);
    const Retention policy = to_policy(options);
    Report report(options, deed(options));
    open_engine(options).prune(options.team, policy, report.sink(), long_call(options.team, report));
    return report.exit();
}

}  // namespace litbuild::cli
