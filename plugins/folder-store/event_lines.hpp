// The file events.jsonl of a build: an event a line.
#pragma once

#include <functional>

#include <folder-store/fields.hpp>

namespace litbuild::folder {

struct Record {
    State state = State::unknown;   ///< of the build from here on
    Timestamp time = 0;
    std::string type;
    boost::json::object members;
};

/// None: the line is no event.
std::optional<Record> parse_record(std::string_view line);

/// Cuts a file that comes in pieces into lines; a line longer than 1 MiB is passed over.
class Lines {
public:
    /// Receives a line without its end and the offset behind it; returns false for "enough".
    using Sink = std::function<bool(std::string_view line, uint64_t end)>;

    /// `offset`: of the first byte that comes in.
    explicit Lines(uint64_t offset) noexcept : offset_(offset) {}
    bool feed(std::string_view piece, const Sink &each);

private:
    uint64_t offset_;
    std::string begun_;
    bool too_long_ = false;
};

}  // namespace litbuild::folder
