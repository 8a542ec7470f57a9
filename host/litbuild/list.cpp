// list and teams: what there is.
#include <map>
#include <memory>

#include <boost/json.hpp>

#include "commands.hpp"
#include "text.hpp"

namespace litbuild::cli {
namespace {

Filter to_filter(const Options &options)
{
    Filter out;
    if (options.archived) out.scope = Scope::archived;
    if (options.all) out.scope = Scope::all;
    out.tag = options.tag;
    if (options.tag) check_tag(*options.tag);
    if (options.state) out.state = to_state(*options.state);
    if (options.limit) out.limit = to_count(*options.limit, "a limit");
    if (options.before) out.before = to_runid(*options.before);
    if (options.since) out.since = now() - std::chrono::nanoseconds(to_duration(*options.since)).count();
    return out;
}

/// What is printed of builds, one after the other.
class Shown {
public:
    virtual ~Shown() = default;
    virtual void add(const Row &build) = 0;
    virtual std::string text() const = 0;
};

class AsJson final : public Shown {
public:
    void add(const Row &build) override { out_ += (out_.size() > 1 ? "," : "") + to_json(build.summary()); }
    std::string text() const override { return out_ + "]\n"; }

private:
    std::string out_ = "[";
};

class AsTable final : public Shown {
public:
    explicit AsTable(bool all) : all_(all), table_(head(all)) {}
    void add(const Row &build) override
    {
        std::vector<Cell> row = {std::to_string(build.runid()),
                                 Cell(name(build.state()), colour_of(build.state())),
                                 escaped(build.step().value_or("-")),
                                 percent(build.progress()),
                                 local_time(build.started()),
                                 // Of a build that is gone without a word nobody knows how long it took.
                                 build.ended() == 0 && !is_active(build.state()) ? "-" : time_taken(build.started(), build.ended())};
        if (all_) row.emplace_back(build.archived() ? "archived" : "-");
        row.emplace_back(joined(build.tags()));
        table_.add(std::move(row));
    }
    std::string text() const override { return table_.text(); }

private:
    static std::vector<Cell> head(bool all)
    {
        std::vector<Cell> out = {"ID", "STATE", "STEP", "PROGRESS", "STARTED", "TOOK"};
        if (all) out.emplace_back("ARCHIVED");
        out.emplace_back("TAGS");
        return out;
    }

    const bool all_;
    Table table_;
};

/// How many there are, by state, in the order of the states; those that none is in are left out.
class AsCounts final : public Shown {
public:
    explicit AsCounts(bool json) : json_(json) {}
    void add(const Row &build) override { ++counts_[build.state()]; }
    std::string text() const override
    {
        if (json_) {
            boost::json::object out;
            for (const auto &[state, count] : counts_) out[name(state)] = count;
            return boost::json::serialize(out) + "\n";
        }
        Table table({"STATE", "BUILDS"});
        for (const auto &[state, count] : counts_) table.add({Cell(name(state), colour_of(state)), std::to_string(count)});
        return table.text();
    }

private:
    const bool json_;
    std::map<State, uint64_t> counts_;
};

std::unique_ptr<Shown> shown(const Options &options)
{
    if (options.count) return std::make_unique<AsCounts>(options.json);
    if (options.json) return std::make_unique<AsJson>();
    return std::make_unique<AsTable>(options.all);
}

}  // namespace

int list(const Options &options)
{
    check_team(options.team);
    const Filter filter = to_filter(options);
    const std::unique_ptr<Shown> builds = shown(options);
    const Listed listed = open_engine(options).list(options.team, filter, [&](const Row &build) {
        builds->add(build);
        return true;
    });
    print(builds->text());
    if (listed.complete) return Exit::done;
    // As far as it came is better than nothing, but it is not all.
    complain(options.team + ": the list is not complete; it shows the newest " + std::to_string(listed.count) +
             " of what was asked for: " + listed.why);
    return Exit::unavailable;
}

int teams(const Options &options)
{
    const std::vector<std::string> found = open_engine(options).teams();
    std::string out;
    if (options.json) out = boost::json::serialize(boost::json::value_from(found)) + "\n";
    else for (const std::string &team : found) out += team + "\n";
    print(out);
    return Exit::done;
}

}  // namespace litbuild::cli
