#include "roll.hpp"

#include <algorithm>

#include "notes.hpp"

namespace litbuild::detail {

namespace {

// Fewer are read from the list as fast.
constexpr size_t worth_a_note = 1000;

std::string note_name(Scope scope) { return "names-" + std::to_string(static_cast<uint32_t>(scope)); }

// Of /data/contoso/logs/19: /data/contoso/logs/; empty where the path does not end in the run id.
std::string_view folder_of(std::string_view path, int64_t runid)
{
    char digits[24];
    const int size = std::snprintf(digits, sizeof digits, "/%lld", static_cast<long long>(runid));
    const std::string_view end(digits, static_cast<size_t>(size));
    return path.ends_with(end) ? path.substr(0, path.size() - end.size() + 1) : std::string_view();
}

}  // namespace

Roll::Roll(const Core &core, const Call &call, const std::string &team, const Filter &filter, uint64_t limit)
    : core_(core), team_(team)
{
    std::string version;
    try {
        version = core.store->version(call, team);
    } catch (const Error &e) {
        // The list itself tells what is wrong.
        if (is_over(call, e)) throw;
    }
    const std::string note = note_name(filter.scope);
    if (!version.empty() && remembered(call, note, version, filter, limit)) return;
    ask(call, filter, limit);
    const bool is_whole = limit == 0 && filter.before <= 0;
    const bool is_plain = others_.empty() && !names_.empty() && names_.front().runid < INT64_MAX / 2 &&
                          std::is_sorted(names_.begin(), names_.end(), [](const Name &a, const Name &b) { return a.runid > b.runid; });
    if (version.empty() || !is_whole || !is_plain || names_.size() < worth_a_note) return;
    try {
        // What came, went or moved since is a change of the version, too.
        core.store->write_note(call, team, note, note_of(names_, version), Durable::no);
    } catch (const Error &) {
        // It would only have saved time.
    }
}

bool Roll::remembered(const Call &call, const std::string &note, const std::string &version, const Filter &filter, uint64_t limit)
{
    std::optional<std::vector<Name>> found = names_of(text_of_note(core_, call, team_, note), version);
    if (!found) return false;
    names_ = std::move(*found);
    if (filter.before > 0) {
        const auto first = std::partition_point(names_.begin(), names_.end(), [&](const Name &name) { return name.runid >= filter.before; });
        names_.erase(names_.begin(), first);
    }
    if (limit > 0 && names_.size() > limit) names_.resize(limit);
    return find_folders(call);
}

// A note does not say where this engine sees the builds.
bool Roll::find_folders(const Call &call)
{
    for (const bool archived : {false, true}) {
        const auto first = std::find_if(names_.begin(), names_.end(), [&](const Name &name) { return name.archived == archived; });
        if (first == names_.end()) continue;
        try {
            const Entry entry = core_.store->find(call, {team_, first->runid});
            if (entry.archived != archived) return false;
            (archived ? archived_ : live_) = folder_of(entry.path, first->runid);
        } catch (const Error &e) {
            if (e.code() != Code::not_found) throw;
            return false;
        }
        if ((archived ? archived_ : live_).empty()) return false;
    }
    return true;
}

void Roll::ask(const Call &call, const Filter &filter, uint64_t limit)
{
    names_.clear();
    core_.store->list(call, {team_, filter.scope, filter.before, limit}, [&](const Entry &entry) {
        std::string &folder = entry.archived ? archived_ : live_;
        const std::string_view here = folder_of(entry.path, entry.runid);
        if (folder.empty()) folder = here;
        if (here.empty() || here != folder) others_.emplace(entry.runid, entry.path);
        names_.push_back({entry.runid, entry.archived});
        return true;
    });
}

void Roll::path(const Name &name, std::filesystem::path &out) const
{
    if (const auto other = others_.find(name.runid); !others_.empty() && other != others_.end()) {
        out = other->second;
        return;
    }
    const std::string &folder = name.archived ? archived_ : live_;
    const std::string last = std::to_string(name.runid), &before = out.native();
    // Taking a path apart costs more than all else; of its neighbour only the end is another.
    if (before.size() > folder.size() && before.starts_with(folder) && before.find('/', folder.size()) == before.npos)
        out.replace_filename(last);
    else out = folder + last;
}

}  // namespace litbuild::detail
