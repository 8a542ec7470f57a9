// FolderStore: how old a file is, by the clock of the file system.
#include <folder-store/folder_store.hpp>

#include <folder-store/noise.hpp>
#include <folder-store/owner.hpp>

namespace litbuild::folder {

namespace {

// So long, two clocks go alike.
constexpr std::chrono::seconds good_for(5);

}  // namespace

int64_t FolderStore::clock_ns(const Call &call, const std::string &team)
{
    {
        const std::lock_guard<std::mutex> hold(clocks_mutex_);
        const auto known = clocks_.find(team);
        const Clock::time_point now = Clock::now();
        if (known != clocks_.end() && now - known->second.when < good_for)
            return known->second.time_ns + std::chrono::nanoseconds(now - known->second.when).count();
    }
    // Where it can be, not in the list itself, which would have changed by that.
    const bool is_indexed = fs_->look(call, index(team)).kind == Kind::folder;
    const Path probe = (is_indexed ? index(team) : logs(team)) / temporary_name();
    fs_->write_file(call, probe, "now\n", Durable::no);
    const int64_t time = fs_->look(call, probe).modified_ns;
    const Clock::time_point now = Clock::now();
    fs_->remove_file(call, probe);
    const std::lock_guard<std::mutex> hold(clocks_mutex_);
    clocks_[team] = {time, now};
    return time;
}

std::chrono::nanoseconds FolderStore::age(const Call &call, const BuildName &build, std::string_view name)
{
    litbuild::check(build);
    const Place place = place_of(call, build);
    const Path file = below(folder(build, place), build, name);
    // What is opened is asked for anew; what is only looked at, a client may remember.
    if (!fs_->read_file(call, file, 0, 1, [](std::string_view) { return true; }))
        throw Error(Code::not_found, to_string(build) + ": has no file " + quote(name));
    const int64_t written = fs_->look(call, file).modified_ns;
    return std::chrono::nanoseconds(std::max<int64_t>(clock_ns(call, build.team) - written, 0));
}

}  // namespace litbuild::folder
