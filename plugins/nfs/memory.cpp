#include <nfs/memory.hpp>

#include <algorithm>

#include <litbuild/names.hpp>

namespace litbuild::nfs {

using folder::Path;

namespace {

constexpr size_t most_listings = 16, most_handles = 1000, most_courses = 16;
constexpr size_t largest_file = 16 * 1024, most_bytes = 64 * 1024 * 1024;
// Of a map, beside name and content.
constexpr size_t entry_size = 100;
// So often an old listing is asked before it is worth another one.
constexpr uint64_t many = 16;
constexpr std::chrono::minutes longest(5);

}  // namespace

void Memory::found(const Path &path, const std::string &handle)
{
    const std::lock_guard guard(mutex_);
    if (handles_.size() >= most_handles) handles_.clear();
    // From the first time on: it is looked for again when that is over.
    const auto [at, is_new] = handles_.try_emplace(path.text(), handle, Clock::now());
    if (!is_new && Clock::now() - at->second.second > fresh_) at->second = {handle, Clock::now()};
}

std::optional<std::string> Memory::handle(const Path &path)
{
    const std::lock_guard guard(mutex_);
    const auto at = handles_.find(path.text());
    if (at == handles_.end() || Clock::now() - at->second.second > fresh_) return std::nullopt;
    return at->second.first;
}

size_t Memory::size_of(const Files::value_type &file) noexcept
{
    return entry_size + file.first.size() + (file.second.first ? file.second.first->size() : 0);
}

void Memory::drop(Files &files, Files::iterator file)
{
    bytes_ -= size_of(*file);
    files.erase(file);
}

void Memory::drop(Folder &folder)
{
    for (Files *files : {&folder.files, &folder.ahead})
        while (!files->empty()) drop(*files, files->begin());
}

void Memory::keep(Files &files, std::string_view file, const std::optional<std::string> &content)
{
    if (const auto old = files.find(file); old != files.end()) drop(files, old);
    const auto kept = files.emplace(file, std::pair(content, Clock::now())).first;
    bytes_ += size_of(*kept);
    if (bytes_ > most_bytes) drop(files, kept);
}

size_t Memory::bytes()
{
    const std::lock_guard guard(mutex_);
    return bytes_;
}

void Memory::listed(const Path &path, const std::vector<Item> &items, Clock::time_point begun)
{
    const std::lock_guard guard(mutex_);
    if (listings_.size() >= most_listings && !listings_.contains(path.text())) {
        listings_.clear();
        bytes_ = 0;
    }
    Listed &listed = listings_[path.text()];
    std::unordered_map<std::string, Folder> before;
    before.swap(listed.folders);
    listed.time = begun;
    listed.is_valid = begun > forgotten_;
    listed.asked = 0;
    listed.numbers.clear();
    for (const Item &item : items) {
        if (item.is.type != Type::folder || item.handle.empty()) continue;
        const auto old = before.find(item.name);
        const bool is_same = old != before.end() && old->second.handle == item.handle &&
                             old->second.changed_ns == item.is.changed_ns;
        listed.folders.emplace(item.name, is_same ? std::move(old->second)
                                                  : Folder{item.handle, item.is.changed_ns, Clock::now(), {}, {}});
        if (!is_same) continue;
        before.erase(old);
        // What nobody came for.
        Files &ahead = listed.folders.find(item.name)->second.ahead;
        for (auto file = ahead.begin(); file != ahead.end();) {
            const auto next = std::next(file);
            if (Clock::now() - file->second.second > fresh_) drop(ahead, file);
            file = next;
        }
    }
    for (auto &[name, gone] : before) drop(gone);
}

Memory::Folder *Memory::find(const Path &folder, Listed **in)
{
    const auto at = listings_.find(folder.parent().text());
    if (at == listings_.end() || folder.is_root()) return nullptr;
    ++at->second.asked;
    if (in) *in = &at->second;
    const auto found = at->second.folders.find(std::string(folder.name()));
    return found == at->second.folders.end() ? nullptr : &found->second;
}

Memory::Listing Memory::listing(const Path &folder)
{
    const std::lock_guard guard(mutex_);
    const auto at = folder.is_root() ? listings_.end() : listings_.find(folder.parent().text());
    if (at == listings_.end()) return Listing::none;
    if (at->second.is_valid && Clock::now() - at->second.time <= fresh_) return Listing::fresh;
    // Who read much under the last one goes on so.
    return at->second.asked >= many && Clock::now() - at->second.time <= 5 * fresh_ ? Listing::old : Listing::none;
}

std::optional<Memory::Known> Memory::known(const Path &folder, std::string_view file)
{
    const std::lock_guard guard(mutex_);
    Listed *listed = nullptr;
    Folder *found = find(folder, &listed);
    if (!found || !listed->is_valid || Clock::now() - listed->time > fresh_) return std::nullopt;
    Known known{found->handle, found->changed_ns, Clock::now() - found->since > fresh_, false, {}};
    step(*listed, folder, file);
    const auto at = found->files.find(file);
    if (at != found->files.end() && Clock::now() - at->second.second < longest) {
        known.has_file = true;
        known.content = at->second.first;
        return known;
    }
    const auto ahead = found->ahead.find(file);
    if (ahead == found->ahead.end()) return known;
    if (Clock::now() - ahead->second.second <= fresh_) {
        known.has_file = true;
        known.content = ahead->second.first;
    }
    drop(found->ahead, ahead);
    return known;
}

void Memory::step(Listed &listed, const Path &folder, std::string_view file)
{
    const auto number = parse_runid(folder.name());
    if (!number) return;
    if (listed.numbers.empty()) {
        for (const auto &[name, each] : listed.folders)
            if (const auto one = parse_runid(name)) listed.numbers.push_back(*one);
        std::sort(listed.numbers.begin(), listed.numbers.end());
    }
    auto course = listed.courses.find(file);
    if (course == listed.courses.end()) {
        // Names of artifacts come from outside.
        if (listed.courses.size() >= most_courses) listed.courses.clear();
        course = listed.courses.emplace(file, Course{}).first;
    }
    Course &on = course->second;
    const auto at = std::lower_bound(listed.numbers.begin(), listed.numbers.end(), *number);
    const auto end = listed.numbers.end();
    int direction = 0;
    if (at != listed.numbers.begin() && *std::prev(at) == on.last) direction = 1;
    else if (at != end && std::next(at) != end && *std::next(at) == on.last) direction = -1;
    on.steps = direction == 0 ? 0 : direction == on.direction ? on.steps + 1 : 1;
    on.direction = direction;
    on.last = *number;
}

std::vector<Memory::Next> Memory::next(const Path &folder, std::string_view file)
{
    constexpr size_t most = 64;
    const std::lock_guard guard(mutex_);
    Listed *listed = nullptr;
    std::vector<Next> out;
    if (!find(folder, &listed)) return out;
    const auto course = listed->courses.find(file);
    if (course == listed->courses.end() || course->second.steps < 2) return out;
    const Course &on = course->second;
    const size_t count = std::min(most, on.steps * 4);
    auto at = std::lower_bound(listed->numbers.begin(), listed->numbers.end(), on.last);
    for (size_t i = 0; i < count && at != listed->numbers.end(); ++i) {
        const std::string name = std::to_string(*at);
        const auto found = listed->folders.find(name);
        const bool is_wanted = found != listed->folders.end() && !found->second.files.contains(file) &&
                               !found->second.ahead.contains(file);
        if (is_wanted) {
            const Folder &one = found->second;
            out.push_back({folder.parent() / name,
                           {one.handle, one.changed_ns, Clock::now() - one.since > fresh_, false, {}}});
        }
        if (on.direction < 0 && at == listed->numbers.begin()) break;
        std::advance(at, on.direction);
    }
    return out;
}

void Memory::read_ahead(const Next &next, std::string_view file, const std::optional<std::string> &content)
{
    const std::lock_guard guard(mutex_);
    Listed *listed = nullptr;
    Folder *found = find(next.folder, &listed);
    if (!found || !listed->is_valid) return;
    if (found->handle != next.known.handle || found->changed_ns != next.known.changed_ns) return;
    keep(found->ahead, file, content);
}

void Memory::read(const Path &folder, const Known &known, std::string_view file, const std::optional<std::string> &content)
{
    const std::lock_guard guard(mutex_);
    const bool is_replaced = file == "status.json" || file == "build.json" || (file == "tags" && !content);
    if (!is_replaced || !known.is_quiet || (content && content->size() > largest_file)) return;
    Folder *found = find(folder);
    if (!found || found->handle != known.handle || found->changed_ns != known.changed_ns) return;
    keep(found->files, file, content);
}

void Memory::forget()
{
    const std::lock_guard guard(mutex_);
    forgotten_ = Clock::now();
    for (auto &[path, listed] : listings_) listed.is_valid = false;
}

void Memory::forget_all()
{
    forget();
    const std::lock_guard guard(mutex_);
    handles_.clear();
}

}  // namespace litbuild::nfs
