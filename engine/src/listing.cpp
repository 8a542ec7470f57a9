#include "listing.hpp"

#include <algorithm>
#include <random>

#include "index.hpp"
#include "parallel.hpp"
#include "roll.hpp"
#include "row.hpp"

namespace litbuild {

namespace detail {
namespace {

// Read at a time: few where the filter may soon have enough.
constexpr size_t first_window = 64, largest_window = 4096;
// Fewer are read as they are, whatever an index says.
constexpr size_t worth_an_index = 512;
// Of those that an index knows so many are read all the same, at random: somebody may have edited tags by hand.
constexpr size_t looked_after = 64;

Timestamp start_of(const Status &status)
{
    return status.started != 0 ? status.started : status.created != 0 ? status.created : status.time;
}

class Lister final : private RowSource {
public:
    Lister(const Core &core, const std::string &team, const Filter &filter, const Call &call, Reads reads, const RunidTest &among,
           const RowSink &each)
        : core_(core), team_(team), filter_(filter), call_(call), each_(each),
          narrows_(filter.tag || filter.state || filter.since != 0),
          all_(reads == Reads::everything),
          roll_(core, call, team, filter, narrows_ || among ? 0 : filter.limit),
          names_(roll_.take_names()), next_(*this)
    {
        if (among) std::erase_if(names_, [&](const Name &name) { return !among(name.runid); });
        stride_ = std::max<size_t>(names_.size() / looked_after, 1);
        offset_ = std::random_device()() % stride_;
        if (narrows_ || all_) tell_read();
        else tell_names();
    }

private:
    enum class Outcome { read, gone, hidden };
    struct Read {
        Summary summary;
        Outcome outcome = Outcome::hidden;
        bool is_whole = false;   ///< tags and status are what the build has
    };

    bool has_enough() const noexcept { return enough_ || (filter_.limit > 0 && told_ == filter_.limit); }
    void tell()
    {
        ++told_;
        enough_ = !each_(next_.row);
    }
    void tell(const Name &name, const Read &found)
    {
        if (found.outcome != Outcome::read || !passes(found.summary)) return;
        next_.fill(name, found.summary);
        tell();
    }

    void path(const Name &name, std::filesystem::path &out) const override { roll_.path(name, out); }
    Summary read_again(const Name &name) const override
    {
        Read found = read(name);
        if (found.outcome == Outcome::gone) found.summary.status.error = to_string(found.summary.name) + ": is gone";
        return std::move(found.summary);
    }
    const std::string &team() const noexcept override { return team_; }

    void tell_names()
    {
        for (const Name &name : names_) {
            if (has_enough()) return;
            call_.check(team_);
            next_.fill(name);
            tell();
        }
    }

    // A window at a time, within one segment: what it has of them, and the others read, in order.
    void tell_read()
    {
        std::optional<Index> index;
        if (names_.size() > worth_an_index) index.emplace(core_, call_, team_);
        int64_t last_number = -1;
        size_t window = largest_window;
        if (filter_.limit > 0) window = narrows_ ? first_window : std::min<size_t>(filter_.limit, largest_window);
        for (size_t at = 0; at < names_.size() && !has_enough(); window = std::min(window * 2, largest_window)) {
            call_.check(team_);
            const int64_t number = Segment::number_of(names_[at].runid);
            size_t end = at;
            while (end < names_.size() && end - at < window && Segment::number_of(names_[end].runid) == number) ++end;
            if (index && number != last_number) index->open(number, in_segment(at, number));
            last_number = number;
            tell_window(index, at, end);
            at = end;
        }
        if (index) index->keep();
    }

    size_t in_segment(size_t at, int64_t number) const
    {
        const auto first = names_.begin() + static_cast<ptrdiff_t>(at);
        return static_cast<size_t>(
            std::partition_point(first, names_.end(), [&](const Name &name) { return Segment::number_of(name.runid) == number; }) - first);
    }

    void tell_window(std::optional<Index> &index, size_t at, size_t end)
    {
        records_.clear();
        unknown_.clear();
        for (size_t i = at; i < end; ++i) {
            records_.push_back(index ? index->find(names_[i].runid) : std::nullopt);
            if (is_read(i, records_.back())) unknown_.push_back(&names_[i]);
        }
        std::vector<Read> reads(unknown_.size());
        std::exception_ptr failure;
        try {
            in_parallel(reads.size(), [&](size_t i) { reads[i] = read(*unknown_[i]); });
        } catch (...) {
            failure = std::current_exception();
        }
        const std::chrono::milliseconds as_of = core_.store->as_of();
        auto next = reads.begin();
        for (size_t i = at; i < end && !has_enough(); ++i) {
            // Not at once: what was read while the deadline passed is told.
            if (i % 16 == 15) call_.check(team_);
            const std::optional<Record> &record = records_[i - at];
            if (!is_read(i, record)) {
                tell_record(*record, names_[i], as_of);
                continue;
            }
            Read &found = *next++;
            // Not come to, for one of the others failed: up to here it is told.
            if (failure && found.summary.name.runid == 0) break;
            if (index && found.outcome == Outcome::gone && record) index->drop(*record);
            else if (index && found.is_whole) index->learn(found.summary, record);
            tell(names_[i], found);
        }
        if (failure && !has_enough()) std::rethrow_exception(failure);
    }

    bool is_read(size_t i, const std::optional<Record> &record) const { return !record || i % stride_ == offset_; }

    void tell_record(const Record &record, const Name &name, std::chrono::milliseconds as_of)
    {
        try {
            if (!passes(record)) return;
        } catch (const Error &) {
            // It stands under a checksum, but is no work of ours.
            return tell(name, read(name));
        }
        next_.fill(name, record, as_of);
        tell();
    }

    Read read(const Name &name) const
    {
        Read out;
        Summary &summary = out.summary;
        try {
            call_.check(team_);
            summary.name = {team_, name.runid};
            out.outcome = Outcome::read;
            if (all_ || filter_.tag) summary.tags = core_.store->tags(call_, summary.name);
            if (all_ || filter_.state || filter_.since != 0) summary.status = core_.status(call_, summary.name);
            out.is_whole = all_ || (filter_.tag && (filter_.state || filter_.since != 0));
        } catch (const Error &e) {
            // Gone since it was listed.
            if (e.code() == Code::not_found) {
                out.outcome = Outcome::gone;
                return out;
            }
            // One damaged build must not hide the others.
            if (e.code() != Code::corrupt && e.code() != Code::denied) throw;
            if (filter_.tag || (filter_.state && *filter_.state != State::unknown)) out.outcome = Outcome::hidden;
            summary.status = Status{};
            summary.status.error = e.what();
        }
        return out;
    }

    bool passes(const Record &record) const
    {
        return (!filter_.state || record.state() == *filter_.state) && (filter_.since == 0 || record.start() >= filter_.since) &&
               (!filter_.tag || record.has_tag(*filter_.tag));
    }
    bool passes(const Summary &summary) const
    {
        return (!filter_.state || summary.status.state == *filter_.state) &&
               (filter_.since == 0 || start_of(summary.status) >= filter_.since) &&
               (!filter_.tag || std::find(summary.tags.begin(), summary.tags.end(), *filter_.tag) != summary.tags.end());
    }

    const Core &core_;
    const std::string &team_;
    const Filter &filter_;
    const Call &call_;
    const RowSink &each_;
    const bool narrows_, all_;
    Roll roll_;
    std::vector<Name> names_;
    size_t stride_ = 1, offset_ = 0;   // in how many one is looked after, and which
    uint64_t told_ = 0;
    bool enough_ = false;
    RowFiller next_;
    std::vector<std::optional<Record>> records_;
    std::vector<const Name *> unknown_;
};

}  // namespace

void for_each_build(const Core &core, const std::string &team, const Filter &filter, const Call &given, Reads reads,
                    const RunidTest &among, const RowSink &each)
{
    check_team(team);
    if (filter.tag) check_tag(*filter.tag);
    const Call call = core.bounded(given);
    Lister(core, team, filter, call, reads, among, each);
}

}  // namespace detail

std::vector<Build> Engine::get_builds(const std::string &team, const Filter &filter, Call call) const
{
    std::vector<Build> out;
    detail::for_each_build(*core_, team, filter, call, detail::Reads::needed, {},
                           [&](const Row &row) {
                               out.push_back(Build(core_, {team, row.runid()}));
                               return true;
                           });
    return out;
}

std::vector<Summary> Engine::list(const std::string &team, const Filter &filter, Call call) const
{
    std::vector<Summary> out;
    detail::for_each_build(*core_, team, filter, call, detail::Reads::everything, {},
                           [&](const Row &row) {
                               out.push_back(row.summary());
                               return true;
                           });
    return out;
}

Listed Engine::list(const std::string &team, const Filter &filter, const RowSink &each, Call call) const
{
    Listed out;
    const Call bounded = core_->bounded(call);
    try {
        detail::for_each_build(*core_, team, filter, bounded, detail::Reads::everything, {}, [&](const Row &row) {
            ++out.count;
            return each(row);
        });
    } catch (const Error &e) {
        if (e.code() != Code::timeout || !bounded.expired() || out.count == 0) throw;
        out.complete = false;
        out.why = e.what();
    }
    return out;
}

}  // namespace litbuild
