#include "index.hpp"

#include <charconv>

#include <litbuild/names.hpp>

#include "core.hpp"

namespace litbuild::detail {

namespace {

// So many builds that had to be read are worth a note, or so many marks.
constexpr size_t enough_learned = 64, enough_marks = 32;
// Where what is read may be older, marks are left to those who read what is newer.
constexpr std::chrono::milliseconds longest_wait(1000);
constexpr int64_t day = 24 * 60 * 60;
constexpr std::string_view mark_start = "mark-";
constexpr const char *open_mark = "open", *done_mark = "done";

struct MarkName {
    int64_t runid = 0, seconds = 0;
};

std::optional<MarkName> parse_mark(std::string_view note)
{
    if (!note.starts_with(mark_start)) return std::nullopt;
    MarkName out;
    const char *const end = note.data() + note.size();
    const auto [after, error] = std::from_chars(note.data() + mark_start.size(), end, out.runid);
    if (error != std::errc() || after == end || *after != '-' || out.runid < 1) return std::nullopt;
    const auto [behind, wrong] = std::from_chars(after + 1, end, out.seconds);
    if (wrong != std::errc() || behind == end || *behind != '-') return std::nullopt;
    return out;
}

std::string text_of_note(const Core &core, const Call &call, const std::string &team, const std::string &note)
{
    std::string out;
    try {
        core.store->read_note(call, team, note, [&](std::string_view piece) {
            out += piece;
            return true;
        });
    } catch (const Error &e) {
        if (e.code() != Code::not_found && e.code() != Code::corrupt && e.code() != Code::denied) throw;
        out.clear();
    }
    return out;
}

}  // namespace

Mark::Mark(const Core &core, const Call &call, const BuildName &build) : core_(core), call_(call), build_(build)
{
    std::string note = std::string(mark_start) + std::to_string(build.runid) + "-" + std::to_string(now() / 1'000'000'000) + "-" +
                       new_uuid();
    try {
        core_.store->write_note(call, build.team, note, open_mark, Durable::yes);
        note_ = std::move(note);
    } catch (const Error &e) {
        if (e.code() != Code::unsupported) throw;
    }
}

void Mark::done() noexcept
{
    if (note_.empty()) return;
    try {
        core_.store->write_note(call_, build_.team, note_, done_mark, Durable::no);
    } catch (...) {
        // It stays open, and the build is read until that is a day ago.
    }
}

void forget_index(const Core &core, const Call &call, const std::string &team)
{
    try {
        for (const std::string &note : core.store->notes(call, team))
            if (!note.starts_with(mark_start)) core.store->remove_note(call, team, note);
    } catch (const Error &e) {
        if (e.code() != Code::unsupported) throw;
    }
}

Index::Index(const Core &core, const Call &call, const std::string &team) : core_(core), call_(call), team_(team)
{
    try {
        for (std::string &note : core.store->notes(call, team)) {
            const std::optional<MarkName> mark = parse_mark(note);
            if (!mark) continue;
            Marks &marks = marks_[Segment::number_of(mark->runid)];
            marks.runids.insert(mark->runid);
            marks.notes.insert(std::move(note));
        }
        usable_ = true;
    } catch (const Error &e) {
        // What cannot be looked at is done without; what has no time left is not.
        if (e.code() == Code::timeout || e.code() == Code::cancelled) throw;
    }
}

void Index::open(int64_t number)
{
    keep();
    number_ = number;
    segment_ = Segment(text_of_note(core_, call_, team_, Segment::note(number)));
    settled_.clear();
    is_wrong_ = false;
    const auto marks = marks_.find(number);
    if (marks == marks_.end() || marks->second.notes.size() < enough_marks || core_.store->as_of() > longest_wait) return;
    // Now, before any build is read: of an edit that is over only afterwards, nobody knows whether that was before it.
    settled_ = settled_marks(marks->second);
    if (!settled_.empty()) pause(call_, core_.store->as_of());
}

std::optional<Record> Index::find(int64_t runid)
{
    if (!usable_) return std::nullopt;
    const int64_t number = Segment::number_of(runid);
    if (number != number_) open(number);
    const auto marks = marks_.find(number);
    if (marks != marks_.end() && marks->second.runids.contains(runid)) return std::nullopt;
    try {
        return segment_.find(runid);
    } catch (const Error &) {
        // Whole, but no work of ours.
        segment_.give_up();
        return std::nullopt;
    }
}

void Index::learn(const Summary &summary, const std::optional<Record> &found)
{
    if (!usable_ || !is_terminal(summary.status.state) || Segment::number_of(summary.name.runid) != number_) return;
    std::string record = Record::text_of(summary);
    if (record.empty() || (found && found->bytes() == record)) return;
    is_wrong_ = is_wrong_ || found;
    learned_[summary.name.runid] = std::move(record);
}

void Index::keep() noexcept
{
    try {
        if (usable_ && number_ >= 0) write();
    } catch (...) {
        // A disk that is full or may not be written to, a server that is away: then it stays as it is, as others do.
        usable_ = !call_.expired() && !call_.cancelled() && usable_;
    }
    learned_.clear();
}

// Those that tell of an edit that is over.
std::vector<std::string> Index::settled_marks(const Marks &marks) const
{
    std::vector<std::string> out;
    for (const std::string &note : marks.notes) {
        const bool is_old = now() / 1'000'000'000 - parse_mark(note)->seconds > day;
        if (is_old || text_of_note(core_, call_, team_, note) == done_mark) out.push_back(note);
    }
    return out;
}

void Index::write()
{
    static const Marks none;
    const auto found = marks_.find(number_);
    const Marks &marks = found == marks_.end() ? none : found->second;
    if (learned_.size() < enough_learned && settled_.empty() && !is_wrong_) return;

    std::vector<std::string_view> records;
    auto learned = learned_.begin();
    segment_.rewind();
    while (const std::optional<Record> old = segment_.next()) {
        for (; learned != learned_.end() && learned->first >= old->runid(); ++learned) records.push_back(learned->second);
        if (!learned_.contains(old->runid()) && !marks.runids.contains(old->runid())) records.push_back(old->bytes());
    }
    for (; learned != learned_.end(); ++learned) records.push_back(learned->second);
    if (!core_.store->swap_note(call_, team_, Segment::note(number_), segment_.identity(), Segment::note_of(records))) return;
    for (const std::string &note : settled_) core_.store->remove_note(call_, team_, note);
}

}  // namespace litbuild::detail
