#include "row.hpp"

namespace litbuild {

namespace detail {

void RowFiller::clear(const Name &name)
{
    row.runid_ = name.runid;
    row.archived_ = name.archived;
    row.has_tags_ = false;
    row.record_ = {};
    row.summary_ = nullptr;
}

void RowFiller::fill(const Name &name)
{
    static const Summary nothing;
    fill(name, nothing);
}

void RowFiller::fill(const Name &name, const Record &record, std::chrono::milliseconds as_of)
{
    clear(name);
    row.record_ = record.bytes();
    row.as_of_ = as_of;
    row.state_ = record.state();
    row.time_ = record.time();
    row.created_ = record.created();
    row.started_ = record.started();
    row.ended_ = record.ended();
    row.progress_ = record.progress();
}

void RowFiller::fill(const Name &name, const Summary &summary)
{
    clear(name);
    row.summary_ = &summary;
    row.as_of_ = summary.status.as_of;
    row.state_ = summary.status.state;
    row.time_ = summary.status.time;
    row.created_ = summary.status.created;
    row.started_ = summary.status.started;
    row.ended_ = summary.status.ended;
    row.progress_ = summary.status.progress;
}

// It stands under a checksum, but is no work of ours.
void RowFiller::read_afresh(const Row &row)
{
    row.afresh_ = std::make_unique<Summary>(row.source_->read_again({row.runid_, row.archived_}));
    row.summary_ = row.afresh_.get();
}

}  // namespace detail

std::optional<std::string> Row::step() const
{
    // What is kept has ended, mostly without one.
    if (!summary_) return detail::Record(record_).has_step() ? summary().status.step() : std::nullopt;
    return summary_->status.step();
}

const std::vector<std::string_view> &Row::tags() const
{
    if (has_tags_) return tags_;
    tags_.clear();
    if (!summary_) {
        try {
            detail::Record(record_).tags(tags_);
        } catch (const Error &) {
            tags_.clear();
            detail::RowFiller::read_afresh(*this);
        }
    }
    if (summary_) tags_.assign(summary_->tags.begin(), summary_->tags.end());
    has_tags_ = true;
    return tags_;
}

std::filesystem::path Row::path() const
{
    std::filesystem::path out;
    source_->path({runid_, archived_}, out);
    return out;
}

Summary Row::summary() const
{
    Summary out;
    if (!summary_) {
        try {
            detail::Record(record_).fill(out);
            out.status.as_of = as_of_;
        } catch (const Error &) {
            detail::RowFiller::read_afresh(*this);
        }
    }
    if (summary_) out = *summary_;
    out.name = {source_->team(), runid_};
    out.archived = archived_;
    source_->path({runid_, archived_}, out.path);
    return out;
}

}  // namespace litbuild
