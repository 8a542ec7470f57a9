// Pieces of a team's index as they lie in notes: what settled builds are, and which builds there are.
//
// The numbers in them are this machine's; a note of another byte order or another version is taken for damaged, which only
// costs the time to make it again. So does any damage: all of a note stands under a checksum.
#pragma once

#include <cstddef>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <litbuild/engine.hpp>

namespace litbuild::detail {

/// A settled build, as a segment has it. Borrowed from there.
class Record {
public:
    /// Throws Code::corrupt where there is no such record.
    explicit Record(std::string_view bytes);

    int64_t runid() const noexcept { return take<int64_t>(offsetof(Head, runid)); }
    State state() const noexcept { return static_cast<State>(take<uint32_t>(offsetof(Head, state))); }
    Timestamp time() const noexcept { return take<Timestamp>(offsetof(Head, time)); }
    Timestamp created() const noexcept { return take<Timestamp>(offsetof(Head, created)); }
    Timestamp started() const noexcept { return take<Timestamp>(offsetof(Head, started)); }
    Timestamp ended() const noexcept { return take<Timestamp>(offsetof(Head, ended)); }
    std::optional<double> progress() const noexcept;
    bool has_step() const noexcept { return take<int32_t>(offsetof(Head, current_step)) >= 0; }
    /// When it was started; where that is not known, made or last heard of.
    Timestamp start() const noexcept;
    bool has_tag(std::string_view tag) const;
    /// Adds them. Throws Code::corrupt.
    void tags(std::vector<std::string_view> &out) const;
    /// Tags and status. Throws Code::corrupt.
    void fill(Summary &summary) const;
    size_t size() const noexcept { return bytes_.size(); }
    std::string_view bytes() const noexcept { return bytes_; }

    static std::string text_of(const Summary &summary);

private:
    struct Head {
        uint32_t size = 0;   ///< of the record, with this
        uint16_t tags = 0, steps = 0;
        int64_t runid = 0;
        int64_t time = 0, created = 0, started = 0, ended = 0;
        uint64_t cursor = 0;
        double progress = 0;
        int32_t exit_code = 0, signal = 0, current_step = 0;
        uint32_t state = 0;
    };
    struct StepHead {
        int64_t started = 0, ended = 0;
        double progress = 0;
        int32_t parent = 0, exit_code = 0, signal = 0;
        uint32_t state = 0;
    };

    template <class Plain>
    Plain take(size_t offset) const noexcept
    {
        Plain out;
        std::memcpy(&out, bytes_.data() + offset, sizeof out);
        return out;
    }
    uint16_t tag_count() const noexcept { return take<uint16_t>(offsetof(Head, tags)); }

    std::string_view bytes_;
};

/// The records of some of the builds whose run ids are from `number * span` to below the next.
class Segment {
public:
    static constexpr int64_t span = 16384;
    static int64_t number_of(int64_t runid) noexcept { return runid / span; }
    static std::string note(int64_t number) { return "seg-" + std::to_string(number); }

    Segment() = default;
    /// Of the text of a note, whose pieces `read` gives to its sink. Where there is none, or it is damaged, or of another
    /// `source`, it has no records. The memory of `before` serves for this one.
    Segment(Segment before, uint64_t source, const std::function<void(const TextSink &)> &read);
    Segment(std::string note, uint64_t source);

    /// It is a note of that source.
    bool is_whole() const noexcept { return is_whole_; }
    /// What tells this note from all others: how it begins. Only of one that is whole.
    std::string_view identity() const noexcept { return identity_of(note_); }
    /// Empty: it is none, or not enough of one.
    static std::string_view identity_of(std::string_view note) noexcept;
    /// Run ids have to be asked for from high to low. Throws Code::corrupt.
    std::optional<Record> find(int64_t runid);
    /// It has no records after all; what was given of it stays good.
    void give_up() noexcept { first_ = at_ = note_.size(); }
    /// From here on they are asked for from the highest on again.
    void rewind() noexcept { at_ = first_; }
    std::optional<Record> next();

    /// A note of these records, which have to stand from high run ids to low. `source`: a number for what the statuses in it
    /// come from.
    static std::string note_of(const std::vector<std::string_view> &records, uint64_t source);

private:
    static constexpr size_t identity_size = 24, summed_from = 32, head_size = 40;

    void judge(uint64_t sum, uint64_t source);

    std::string note_;
    bool is_whole_ = false;
    size_t first_ = 0, at_ = 0;
};

/// A number for a text.
uint64_t number_of_text(std::string_view text) noexcept;

/// Which builds there were at a version of a team's lists. From high run ids to low.
struct Name {
    int64_t runid = 0;
    bool archived = false;
};
std::string note_of(const std::vector<Name> &names, std::string_view version);
/// None: it is of another version, or damaged.
std::optional<std::vector<Name>> names_of(std::string_view note, std::string_view version);

}  // namespace litbuild::detail
