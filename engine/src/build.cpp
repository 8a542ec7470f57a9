#include "core.hpp"
#include "index.hpp"

namespace litbuild {

using detail::Core;
using detail::pause;

namespace {

void check_tags(const std::vector<std::string> &tags)
{
    for (const std::string &tag : tags) check_tag(tag);
}

}  // namespace

Build::Build(std::shared_ptr<const Core> core, BuildName name) : core_(std::move(core)), name_(std::move(name)) {}

std::filesystem::path Build::path(Call call) const { return core_->store->find(core_->bounded(call), name_).path; }

std::vector<std::string> Build::tags(Call call) const
{
    const Call bounded = core_->bounded(call);
    core_->store->find(bounded, name_);
    return core_->store->tags(bounded, name_);
}

std::vector<std::string> Build::edit_tags(const std::vector<std::string> &add, const std::vector<std::string> &remove,
                                          Call call) const
{
    check_tags(add);
    check_tags(remove);
    const Call bounded = core_->bounded(call);
    core_->store->find(bounded, name_);
    {
        detail::Mark mark(*core_, bounded, name_);
        try {
            core_->store->edit_tags(bounded, name_, add, remove);
        } catch (const Error &e) {
            // What a server was asked for it may do later.
            if (e.code() != Code::timeout && e.code() != Code::cancelled && e.code() != Code::unavailable) mark.done();
            throw;
        }
        mark.done();
    }
    return core_->store->tags(bounded, name_);
}

std::filesystem::path Build::archive(Call call) const
{
    const Call bounded = core_->bounded(call);
    // What is archived already the store may still have to tidy up after.
    if (!core_->store->find(bounded, name_).archived)
        detail::refuse_where_alive(name_, core_->standing(bounded, name_), "archiving");
    return core_->store->archive(call, name_).path;
}

std::filesystem::path Build::restore(Call call) const
{
    core_->store->find(core_->bounded(call), name_);
    return core_->store->restore(call, name_).path;
}

void Build::remove(Call call) const
{
    const Call bounded = core_->bounded(call);
    if (!core_->store->find(bounded, name_).archived)
        throw Error(Code::refused, to_string(name_) + ": is not archived; archive it before removing");
    detail::Standing standing;
    try {
        standing = core_->standing(bounded, name_);
    } catch (const Error &e) {
        // What is damaged is not kept for ever by its damage.
        if (e.code() != Code::corrupt) throw;
    }
    detail::refuse_where_alive(name_, standing, "removing");
    core_->store->remove(call, name_);
}

Status Build::get_status(Call call) const
{
    const Call bounded = core_->bounded(call);
    core_->store->find(bounded, name_);
    return core_->status(bounded, name_);
}

Summary Build::summary(Call call) const
{
    const Call bounded = core_->bounded(call);
    const Entry entry = core_->store->find(bounded, name_);
    return {name_, entry.path, entry.archived, core_->store->tags(bounded, name_), core_->status(bounded, name_)};
}

Status Build::wait(Call call) const
{
    const std::string object = to_string(name_);
    core_->store->find(core_->bounded(call), name_);
    for (auto rest = std::chrono::milliseconds(5);; rest = std::min(rest * 2, std::chrono::milliseconds(500))) {
        const Status status = core_->status(core_->bounded(Call()), name_);
        if (!is_active(status.state)) return status;
        call.check(object);
        const std::optional<std::string> token = core_->control(core_->bounded(Call()), name_, detail::control::token);
        Probe probe;
        if (token) {
            try {
                probe = core_->processes->wait(call, *token);
            } catch (const Error &e) {
                if (e.code() != Code::unsupported && e.code() != Code::timeout) throw;
            }
        }
        if (probe.life != Life::gone) pause(call, rest);
    }
}

uint64_t Build::follow(const TextSink &sink, Call call, uint64_t offset) const
{
    core_->store->find(core_->bounded(call), name_);
    bool more = true;
    // Page by page, each under a deadline of its own, which the sink's time is no part of.
    const auto drain = [&] {
        constexpr uint64_t page = 1024 * 1024;
        const uint64_t before = offset;
        for (std::string text; more; text.clear()) {
            try {
                core_->store->read(core_->bounded(Call()), name_, "log", offset, page, [&](std::string_view piece) {
                    text += piece;
                    return true;
                });
            } catch (const Error &e) {
                // A log that is not there yet is one of which nothing was written.
                if (e.code() != Code::not_found) throw;
            }
            if (text.empty()) break;
            offset += text.size();
            more = sink(text);
        }
        return offset != before;
    };
    for (auto rest = std::chrono::milliseconds(10);; rest = std::min(rest * 2, std::chrono::milliseconds(200))) {
        const bool active = is_active(core_->status(core_->bounded(Call()), name_).state);
        // The state first: what was written before the end is there when the end is seen.
        if (drain()) rest = std::chrono::milliseconds(10);
        if (!more || !active || call.expired()) return offset;
        if (call.cancelled()) throw Error(Code::cancelled, to_string(name_) + ": cancelled");
        pause(call, rest);
    }
}

std::vector<Event> Build::events(uint64_t cursor, Call call) const
{
    core_->store->find(core_->bounded(call), name_);
    std::vector<Event> out;
    State state = State::unknown;
    for (;;) {
        // In slices, so that a build whose runner is gone without a word does not hold us for ever.
        core_->status_source->poll(call.at_most(std::chrono::seconds(1)), name_, cursor, [&](const Event &event) {
            out.push_back(event);
            return true;
        });
        if (!out.empty() || call.expired()) return out;
        if (call.cancelled()) throw Error(Code::cancelled, to_string(name_) + ": cancelled");
        state = core_->status(core_->bounded(Call()), name_).state;
        if (!is_active(state)) break;
    }
    // What was written between the last look and the end. Of a build that is lost nobody tells that nothing will come.
    const std::chrono::milliseconds patience(is_terminal(state) ? 5000 : 300);
    core_->status_source->poll(call.at_most(patience), name_, cursor, [&](const Event &event) {
        out.push_back(event);
        return true;
    });
    return out;
}

void Build::read(std::string_view file, const TextSink &sink, uint64_t offset, uint64_t max, Call call) const
{
    const Call bounded = core_->bounded(call);
    core_->store->find(bounded, name_);
    core_->store->read(bounded, name_, file, offset, max, sink);
}

}  // namespace litbuild
