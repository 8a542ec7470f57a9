#include "segment.hpp"

#include <cstring>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core.hpp"

namespace litbuild::detail {

namespace {

constexpr std::string_view segment_magic("LBSEG\0\0\1", 8), names_magic("LBNAM\0\0\1", 8);

[[noreturn]] void damaged() { throw Error(Code::corrupt, "index: is damaged"); }

template <class Plain>
void put(std::string &out, const Plain &value)
{
    out.append(reinterpret_cast<const char *>(&value), sizeof value);
}
void put_text(std::string &out, std::string_view text)
{
    put(out, static_cast<uint32_t>(text.size()));
    out += text;
}

class Reader {
public:
    explicit Reader(std::string_view bytes) : left_(bytes) {}
    template <class Plain>
    Plain take()
    {
        Plain out;
        std::memcpy(static_cast<void *>(&out), bytes(sizeof out).data(), sizeof out);
        return out;
    }
    std::string_view text() { return bytes(take<uint32_t>()); }
    std::string_view bytes(size_t size)
    {
        if (size > left_.size()) damaged();
        const std::string_view out = left_.substr(0, size);
        left_.remove_prefix(size);
        return out;
    }
    bool at_end() const noexcept { return left_.empty(); }

private:
    std::string_view left_;
};

void put_number(std::string &out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
    out += static_cast<char>(value);
}
uint64_t take_number(Reader &from)
{
    uint64_t out = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        const auto byte = from.take<unsigned char>();
        out |= static_cast<uint64_t>(byte & 0x7f) << shift;
        if (byte < 0x80) return out;
    }
    damaged();
}

std::optional<double> progress_of(double value) { return value < 0 ? std::nullopt : std::optional<double>(value); }
std::optional<int> exit_of(int32_t code) { return code < 0 ? std::nullopt : std::optional<int>(code); }

State state_of(uint32_t value)
{
    if (value >= std::size(state_names)) damaged();
    return static_cast<State>(value);
}

}  // namespace

Record::Record(std::string_view bytes) : bytes_(bytes)
{
    if (bytes.size() < sizeof(Head)) damaged();
    const auto size = take<uint32_t>(offsetof(Head, size));
    if (size < sizeof(Head) || size > bytes.size() || runid() < 1) damaged();
    (void)state_of(take<uint32_t>(offsetof(Head, state)));
    bytes_ = bytes.substr(0, size);
}

Timestamp Record::start() const noexcept
{
    return started() != 0 ? started() : created() != 0 ? created() : time();
}

bool Record::has_tag(std::string_view tag) const
{
    Reader from(bytes_.substr(sizeof(Head)));
    for (int i = tag_count(); i > 0; --i)
        if (from.text() == tag) return true;
    return false;
}

std::optional<double> Record::progress() const noexcept { return progress_of(take<double>(offsetof(Head, progress))); }

void Record::tags(std::vector<std::string_view> &out) const
{
    Reader from(bytes_.substr(sizeof(Head)));
    for (int i = tag_count(); i > 0; --i) out.push_back(from.text());
}

void Record::fill(Summary &summary) const
{
    Reader from(bytes_);
    const auto head = from.take<Head>();
    summary.tags.resize(head.tags);
    for (std::string &tag : summary.tags) tag = from.text();
    Status &status = summary.status;
    status.state = state();
    status.time = head.time;
    status.created = head.created;
    status.started = head.started;
    status.ended = head.ended;
    status.cursor = head.cursor;
    status.current_step.reset();
    if (head.current_step >= 0 && head.current_step < head.steps) status.current_step = static_cast<size_t>(head.current_step);
    status.exit_code = exit_of(head.exit_code);
    status.signal = head.signal;
    status.progress = progress_of(head.progress);
    for (std::string *text : {&status.message, &status.error, &status.stopped_by, &status.reason, &status.detail}) *text = from.text();
    status.steps.resize(head.steps);
    for (Step &step : status.steps) {
        const auto own = from.take<StepHead>();
        step.name = from.text();
        step.state = state_of(own.state);
        step.parent = own.parent;
        step.exit_code = exit_of(own.exit_code);
        step.signal = own.signal;
        step.started = own.started;
        step.ended = own.ended;
        step.progress = progress_of(own.progress);
    }
    if (!from.at_end()) damaged();
}

std::string Record::text_of(const Summary &summary)
{
    const Status &status = summary.status;
    // More than can be counted is left to be read.
    if (summary.tags.size() > UINT16_MAX || status.steps.size() > UINT16_MAX) return "";
    Head head;
    head.tags = static_cast<uint16_t>(summary.tags.size());
    head.steps = static_cast<uint16_t>(status.steps.size());
    head.runid = summary.name.runid;
    head.time = status.time;
    head.created = status.created;
    head.started = status.started;
    head.ended = status.ended;
    head.cursor = status.cursor;
    head.progress = status.progress.value_or(-1);
    head.exit_code = status.exit_code.value_or(-1);
    head.signal = status.signal;
    head.current_step = status.current_step ? static_cast<int32_t>(*status.current_step) : -1;
    head.state = static_cast<uint32_t>(status.state);
    std::string out;
    put(out, head);
    for (const std::string &tag : summary.tags) put_text(out, tag);
    for (const std::string *text : {&status.message, &status.error, &status.stopped_by, &status.reason, &status.detail}) put_text(out, *text);
    for (const Step &step : status.steps) {
        StepHead one;
        one.started = step.started;
        one.ended = step.ended;
        one.progress = step.progress.value_or(-1);
        one.parent = step.parent;
        one.exit_code = step.exit_code.value_or(-1);
        one.signal = step.signal;
        one.state = static_cast<uint32_t>(step.state);
        put(out, one);
        put_text(out, step.name);
    }
    head.size = static_cast<uint32_t>(out.size());
    std::memcpy(out.data(), &head, sizeof head);
    return out;
}

uint64_t number_of_text(std::string_view text) noexcept { return XXH3_64bits(text.data(), text.size()); }

// Identity, checksum of what follows, source, records.
Segment::Segment(std::string note, uint64_t source) : note_(std::move(note))
{
    const std::string_view all = note_;
    judge(all.size() < head_size ? 0 : number_of_text(all.substr(summed_from)), source);
}

Segment::Segment(Segment before, uint64_t source, const std::function<void(const TextSink &)> &read) : note_(std::move(before.note_))
{
    note_.clear();
    XXH3_state_t state;
    XXH3_64bits_reset(&state);
    // Piece by piece, while the processor still has it at hand.
    read([&](std::string_view piece) {
        const size_t skipped = std::min(piece.size(), summed_from - std::min(note_.size(), summed_from));
        XXH3_64bits_update(&state, piece.data() + skipped, piece.size() - skipped);
        note_ += piece;
        return true;
    });
    judge(XXH3_64bits_digest(&state), source);
}

void Segment::judge(uint64_t sum, uint64_t source)
{
    first_ = at_ = note_.size();
    if (note_.size() < head_size || !std::string_view(note_).starts_with(segment_magic)) return;
    uint64_t numbers[2];
    std::memcpy(numbers, note_.data() + identity_size, sizeof numbers);
    is_whole_ = numbers[0] == sum && numbers[1] == source;
    if (is_whole_) first_ = at_ = head_size;
}

std::string_view Segment::identity_of(std::string_view note) noexcept
{
    return note.size() >= head_size && note.starts_with(segment_magic) ? note.substr(0, identity_size) : std::string_view();
}

std::optional<Record> Segment::next()
{
    if (at_ >= note_.size()) return std::nullopt;
    const Record out(std::string_view(note_).substr(at_));
    at_ += out.size();
    return out;
}

std::optional<Record> Segment::find(int64_t runid)
{
    while (at_ < note_.size()) {
        const Record here(std::string_view(note_).substr(at_));
        if (here.runid() < runid) return std::nullopt;
        at_ += here.size();
        if (here.runid() == runid) return here;
    }
    return std::nullopt;
}

std::string Segment::note_of(const std::vector<std::string_view> &records, uint64_t source)
{
    size_t size = head_size;
    for (const std::string_view record : records) size += record.size();
    std::string out;
    out.reserve(size);
    out += segment_magic;
    const std::string fresh = new_uuid();
    out += fresh.substr(0, 8) + fresh.substr(fresh.size() - 8);
    put(out, uint64_t{0});
    put(out, source);
    for (const std::string_view record : records) out += record;
    const uint64_t sum = number_of_text(std::string_view(out).substr(summed_from));
    std::memcpy(out.data() + identity_size, &sum, sizeof sum);
    return out;
}

std::string note_of(const std::vector<Name> &names, std::string_view version)
{
    std::string body;
    put_text(body, version);
    put(body, static_cast<uint64_t>(names.size()));
    int64_t last = names.empty() ? 0 : names.front().runid;
    put(body, last);
    for (const Name &name : names) {
        put_number(body, static_cast<uint64_t>(last - name.runid) << 1 | (name.archived ? 1 : 0));
        last = name.runid;
    }
    std::string out(names_magic);
    put(out, number_of_text(body));
    return out + body;
}

std::optional<std::vector<Name>> names_of(std::string_view note, std::string_view version)
{
    try {
        Reader from(note);
        if (from.bytes(names_magic.size()) != names_magic) return std::nullopt;
        const auto sum = from.take<uint64_t>();
        if (sum != number_of_text(note.substr(names_magic.size() + sizeof sum)) || from.text() != version) return std::nullopt;
        const auto count = from.take<uint64_t>();
        if (count > note.size()) return std::nullopt;
        std::vector<Name> out(count);
        auto last = from.take<int64_t>();
        if (last < 1 && count > 0) return std::nullopt;
        for (Name &name : out) {
            const uint64_t number = take_number(from);
            name.archived = (number & 1) != 0;
            const bool is_lower = number >> 1 > 0 || &name == &out.front();
            if (!is_lower || number >> 1 >= static_cast<uint64_t>(last)) return std::nullopt;
            name.runid = last -= static_cast<int64_t>(number >> 1);
        }
        return out;
    } catch (const Error &) {
        return std::nullopt;
    }
}

}  // namespace litbuild::detail
