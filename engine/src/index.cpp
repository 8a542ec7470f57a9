#include "index.hpp"

#include <charconv>

#include <litbuild/names.hpp>

#include "notes.hpp"

namespace litbuild::detail {

namespace {

// So many builds that had to be read are worth a note, or so many marks. Where there are more, no list sees to it.
constexpr size_t enough_learned = 64, enough_marks = 32, too_many_marks = 256;
// One edit in so many looks for that.
constexpr size_t rarely = 64;
// Where what is read may be older, marks are left to those who read what is newer.
constexpr std::chrono::milliseconds longest_wait(1000);
constexpr int tries = 10;
constexpr std::string_view mark_start = "mark-";
constexpr const char *open_mark = "open", *done_mark = "done";

/// None: it is no mark.
std::optional<int64_t> marked(std::string_view note)
{
    if (!note.starts_with(mark_start)) return std::nullopt;
    int64_t runid = 0;
    const char *const end = note.data() + note.size();
    const auto [after, error] = std::from_chars(note.data() + mark_start.size(), end, runid);
    if (error != std::errc() || after == end || *after != '-' || runid < 1) return std::nullopt;
    return runid;
}

/// Those that tell of an edit that is over.
template <class Notes>
std::vector<std::string> settled_of(const Core &core, const Call &call, const std::string &team, const Notes &marks)
{
    std::vector<std::string> out;
    for (const std::string &note : marks)
        if (text_of_note(core, call, team, note) == done_mark) out.push_back(note);
    return out;
}

uint64_t source_of(const Core &core)
{
    return number_of_text(core.config.status.plugin + "\n" + core.config.status.config + "\n" + LITBUILD_VERSION);
}

/// Puts a segment without records in place of whatever there is: who has begun to read before writes nothing down any more.
/// Only ever by a swap, which no other swap comes in between.
bool install(const Core &core, const Call &call, const std::string &team, int64_t number, const std::string &fresh, Durable durable)
{
    const std::string note = Segment::note(number);
    for (int i = 0; i < tries; ++i) {
        const std::string there = text_of_note(core, call, team, note);
        const std::string_view before = Segment::identity_of(there);
        // What has none cannot be told from another.
        if (before.empty()) core.store->remove_note(call, team, note);
        if (core.store->swap_note(call, team, note, before, fresh, durable)) return true;
    }
    return false;
}

/// Empties a segment, so that nobody writes down what he read before, and removes marks of it.
void empty(const Core &core, const Call &call, const std::string &team, int64_t number, const std::vector<std::string> &marks)
{
    if (!install(core, call, team, number, Segment::note_of({}, source_of(core)), Durable::yes)) return;
    // Who reads what is older has read it before.
    if (!marks.empty()) pause(call, core.store->as_of());
    for (const std::string &note : marks) core.store->remove_note(call, team, note);
}

}  // namespace

Mark::Mark(const Core &core, const Call &call, const BuildName &build) : core_(core), call_(call), build_(build)
{
    std::string note = std::string(mark_start) + std::to_string(build.runid) + "-" + new_uuid();
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
        // Short lists do not see to the marks.
        if (number_of_text(note_) % rarely != 0) return;
        const int64_t number = Segment::number_of(build_.runid);
        std::vector<std::string> marks;
        for (std::string &note : core_.store->notes(call_, build_.team))
            if (const auto runid = marked(note); runid && Segment::number_of(*runid) == number) marks.push_back(std::move(note));
        if (marks.size() >= too_many_marks)
            empty(core_, call_, build_.team, number, settled_of(core_, call_, build_.team, marks));
    } catch (...) {
        // It stays open, and the build is read.
    }
}

void forget_index(const Core &core, const Call &call, const std::string &team)
{
    try {
        std::map<int64_t, std::vector<std::string>> marks;
        for (std::string &note : core.store->notes(call, team)) {
            int64_t number = 0;
            if (const auto runid = marked(note)) marks[Segment::number_of(*runid)].push_back(std::move(note));
            else if (std::sscanf(note.c_str(), "seg-%ld", &number) == 1 && Segment::note(number) == note) marks[number];
            else core.store->remove_note(call, team, note);
        }
        for (const auto &[number, notes] : marks) empty(core, call, team, number, settled_of(core, call, team, notes));
    } catch (const Error &e) {
        // Without it lists are slower, and not wrong.
        if (is_over(call, e)) throw;
    }
}

Index::Index(const Core &core, const Call &call, const std::string &team)
    : core_(core), call_(call), team_(team), source_(source_of(core))
{
    try {
        for (std::string &note : core.store->notes(call, team)) {
            const std::optional<int64_t> runid = marked(note);
            if (!runid) continue;
            Marks &marks = marks_[Segment::number_of(*runid)];
            marks.runids.insert(*runid);
            marks.notes.insert(std::move(note));
        }
        usable_ = true;
    } catch (const Error &e) {
        // What cannot be looked at is done without.
        if (is_over(call, e)) throw;
    }
}

void Index::open(int64_t number, size_t count)
{
    keep();
    number_ = number;
    settled_.clear();
    dropped_.clear();
    is_wrong_ = false;
    if (!usable_) return;
    // What is not all there is no note, by its checksum.
    segment_ = Segment(std::move(segment_), source_,
                       [&](const TextSink &sink) { read_note(core_, call_, team_, Segment::note(number), sink); });
    const auto marks = marks_.find(number);
    const bool is_marked = marks != marks_.end() && marks->second.notes.size() >= enough_marks;
    if (!segment_.is_whole() && (is_marked || count >= enough_learned)) make();
    if (!is_marked || !segment_.is_whole() || core_.store->as_of() > longest_wait) return;
    // Now, before any build is read: of an edit that is over only afterwards, nobody knows whether that was before it.
    settled_ = settled_of(core_, call_, team_, marks->second.notes);
    if (!settled_.empty()) pause(call_, core_.store->as_of());
}

// What is read from here on is written down only where nobody has replaced it. None, or half a one, cannot be told from another.
void Index::make()
{
    try {
        std::string fresh = Segment::note_of({}, source_);
        if (install(core_, call_, team_, number_, fresh, Durable::no)) segment_ = Segment(std::move(fresh), source_);
    } catch (const Error &e) {
        // A disk that is full or may not be written to.
        if (is_over(call_, e)) throw;
    }
}

std::optional<Record> Index::find(int64_t runid)
{
    if (!usable_ || Segment::number_of(runid) != number_) return std::nullopt;
    const auto marks = marks_.find(number_);
    if (marks != marks_.end() && marks->second.runids.contains(runid)) return std::nullopt;
    try {
        return segment_.find(runid);
    } catch (const Error &) {
        // Whole, but no work of ours.
        segment_.give_up();
        is_wrong_ = true;
        return std::nullopt;
    }
}

void Index::learn(const Summary &summary, const std::optional<Record> &found)
{
    if (!usable_ || !segment_.is_whole() || Segment::number_of(summary.name.runid) != number_) return;
    std::string record = is_terminal(summary.status.state) ? Record::text_of(summary) : "";
    if (found && found->bytes() == record) return;
    if (found) drop(*found);
    if (!record.empty()) learned_[summary.name.runid] = std::move(record);
}

void Index::drop(const Record &found)
{
    is_wrong_ = true;
    dropped_.insert(found.runid());
}

void Index::keep() noexcept
{
    try {
        if (usable_ && segment_.is_whole()) write();
    } catch (...) {
        // As in make(), or a server that is away: then it stays as it is.
    }
    segment_.give_up();
    learned_.clear();
}

void Index::write()
{
    if (learned_.size() < enough_learned && settled_.empty() && !is_wrong_) return;
    static const Marks none;
    const auto found = marks_.find(number_);
    const Marks &marks = found == marks_.end() ? none : found->second;
    std::vector<std::string_view> records;
    auto learned = learned_.begin();
    segment_.rewind();
    for (;;) {
        std::optional<Record> old;
        try {
            old = segment_.next();
        } catch (const Error &) {
            // From here on it is no work of ours.
        }
        if (!old) break;
        const int64_t runid = old->runid();
        for (; learned != learned_.end() && learned->first >= runid; ++learned) records.push_back(learned->second);
        const bool goes = learned_.contains(runid) || dropped_.contains(runid) || marks.runids.contains(runid);
        if (!goes) records.push_back(old->bytes());
    }
    for (; learned != learned_.end(); ++learned) records.push_back(learned->second);
    // The marks must not go where a power cut would bring back what they tell of.
    const Durable durable = settled_.empty() ? Durable::no : Durable::yes;
    const std::string note = Segment::note_of(records, source_);
    if (!core_.store->swap_note(call_, team_, Segment::note(number_), segment_.identity(), note, durable)) return;
    for (const std::string &mark : settled_) core_.store->remove_note(call_, team_, mark);
}

}  // namespace litbuild::detail
