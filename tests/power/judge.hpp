// Looks at what a power cut has left, with a fresh store.
#pragma once

#include <boost/json.hpp>

#include <power/plan.hpp>

namespace power {

class Judge {
public:
    Judge(const fs::path &root, std::map<int, Known> known, int64_t highest)
        : root_(root), known_(std::move(known)), highest_(highest)
    {
    }

    /// Everything that is wrong.
    std::vector<std::string> verdict()
    {
        examine("found");
        try {
            bool repaired = false;
            for (int i = 0; i < 2; ++i) repaired = repair() || repaired;
            if (repaired) {
                examine("after a repair");
                look_at_disk();
            }
            make_another();
        } catch (const Error &e) {
            wrong(std::string("then: ") + e.what());
        }
        return std::move(wrongs_);
    }

private:
    void wrong(const std::string &what) { wrongs_.push_back(what); }

    void examine(const std::string &when)
    {
        try {
            store_ = open_store(root_);
            examine_builds(when);
        } catch (const std::exception &e) {
            wrong(when + ": " + e.what());
        }
    }

    std::string text(const BuildName &build, const std::string &name)
    {
        std::string out;
        store_->read(Call(), build, name, 0, 0, [&](std::string_view piece) {
            out += piece;
            return true;
        });
        return out;
    }

    void examine_builds(const std::string &when)
    {
        std::map<int, Entry> found;
        std::set<int64_t> runids;
        std::set<std::pair<int64_t, bool>> all, separate;
        const auto list = [&](Scope scope, const EntrySink &sink) {
            try {
                store_->list(Call(), {team, scope}, sink);
            } catch (const Error &e) {
                if (e.code() != Code::not_found) throw;   // no team yet
            }
        };
        list(Scope::all, [&](const Entry &entry) {
            all.insert({entry.runid, entry.archived});
            const BuildName build{team, entry.runid};
            const std::string label = when + ": " + to_string(build) + ": ";
            if (!runids.insert(entry.runid).second) wrong(label + "is listed twice");
            boost::system::error_code error;
            const boost::json::value document = boost::json::parse(text(build, "build.json"), error);
            const boost::json::object *members = document.if_object();
            if (error || !members || !members->contains("uuid") || !members->contains("runid")) {
                wrong(label + "its build.json is not whole");
                return true;
            }
            if (members->at("runid") != entry.runid) wrong(label + "its build.json says that it is another");
            const int number = static_cast<int>(std::stoul(std::string(members->at("uuid").as_string()).substr(0, 8), nullptr, 16));
            if (!known_.contains(number)) wrong(label + "nobody has made it");
            if (!found.emplace(number, entry).second) wrong(label + "is the same as " + std::to_string(found.at(number).runid));
            return true;
        });
        for (const Scope scope : {Scope::live, Scope::archived})
            list(scope, [&](const Entry &entry) {
                separate.insert({entry.runid, entry.archived});
                return true;
            });
        if (all != separate) wrong(when + ": the list of all is not the two lists together");
        for (const auto &[number, known] : known_) examine_build(when, number, known, found);
    }

    void examine_build(const std::string &when, int number, const Known &known, const std::map<int, Entry> &found)
    {
        const auto at = found.find(number);
        const std::string label = when + ": build " + std::to_string(number) + " (done: " + known.last + "): ";
        const auto may_be = [&](auto accepts) { return std::any_of(known.allowed.begin(), known.allowed.end(), accepts); };
        if (at == found.end()) {
            if (!may_be([](const Want &want) { return want.where == Want::nowhere; })) wrong(label + "is lost");
            return;
        }
        const Entry &entry = at->second;
        if (known.runid && *known.runid != entry.runid) wrong(label + "has another run id");
        const BuildName build{team, entry.runid};
        if (store_->find(Call(), build).archived != entry.archived) wrong(label + "the list and find disagree");
        for (const auto &[name, content] : files_of(number)) {
            if (name == "tags") continue;
            if (text(build, name) != content) wrong(label + name + " is not whole");
        }
        Want is;
        is.where = entry.archived ? Want::archived : Want::live;
        for (const std::string &tag : store_->tags(Call(), build)) is.tags.insert(tag);
        const fs::path control = fs::path(entry.path) / ".control";
        if (fs::exists(control))
            for (const auto &file : fs::directory_iterator(control)) {
                const std::string name = file.path().filename();
                if (!name.starts_with("stop.")) continue;   // the store's own
                is.controls.insert(name);
                if (text(build, ".control/" + name) != control_of(number, name)) wrong(label + ".control/" + name + " is not whole");
            }
        const bool fits = may_be([&](const Want &want) {
            is.asset = want.asset;
            return is == want;
        });
        if (!fits) {
            std::string tags;
            for (const std::string &tag : is.tags) tags += " " + tag;
            for (const std::string &name : is.controls) tags += " ." + name;
            wrong(label + "is " + (entry.archived ? "archived" : "live") + " with" + tags);
        }
        if (known.allowed.front().asset == Want::whole)
            if (const std::string what = wrong_with_asset(entry.path, number); !what.empty()) wrong(label + what);
    }

    /// Whether this store can.
    bool repair()
    {
        try {
            store_->examine(Call(), team, Repair::yes, [&](const Finding &finding) {
                if (finding.state != Finding::State::repaired) wrong("not repaired: " + finding.text);
                return true;
            });
            return true;
        } catch (const Error &e) {
            if (e.code() == Code::not_found) return true;   // no team yet
            if (e.code() != Code::unsupported) throw;
            return false;
        }
    }

    // A build is in one place, and nothing of what was under way is left.
    void look_at_disk()
    {
        const fs::path live = root_ / team / "logs";
        std::set<std::string> numbers;
        std::error_code error;
        for (const fs::path &folder : {live, live / "archive"})
            for (const auto &entry : fs::directory_iterator(folder, error)) {
                const std::string name = entry.path().filename();
                if (parse_runid(name) && !numbers.insert(name).second) wrong("repaired: " + name + " is in two places");
                for (const char *kind : {".new-", ".mv-", ".trash-", ".tmp-"})
                    if (name.starts_with(kind)) wrong("repaired: " + entry.path().string() + " is left");
            }
        for (const auto &entry : fs::directory_iterator(live / ".ops", error))
            if (entry.path().extension() == ".json") wrong("repaired: " + entry.path().string() + " is left");
    }

    // The store still works, and gives no run id twice.
    void make_another()
    {
        constexpr int another = 0x0fffffff;
        const Entry made = store_->create(Call(), {team, uuid_of(another), "{\"uuid\":\"" + uuid_of(another) + "\"}", files_of(another)});
        if (made.runid <= highest_) wrong("a new build gets the run id " + std::to_string(made.runid) + ", which was in use");
        Known known;
        Want want;
        want.where = Want::live;
        want.tags = {"first"};
        known.allowed = {want};
        known_[another] = known;
        examine("with a new build");
    }

    fs::path root_;
    std::map<int, Known> known_;
    int64_t highest_;
    std::unique_ptr<BuildStore> store_;
    std::vector<std::string> wrongs_;
};

}  // namespace power
