#include "store.hpp"

#include <unistd.h>

#include <algorithm>
#include <random>

namespace litbuild::conformance {

using abi::OutgoingCall;

namespace {

std::string random_hex(size_t digits)
{
    static std::random_device source;
    static constexpr char letters[] = "0123456789abcdef";
    std::string out;
    while (out.size() < digits) out += letters[source() & 15];
    return out;
}

/// A name that is none is shown as what it is.
std::string shown(const std::string &team) { return is_team(team) ? team : quote(team); }
std::string shown(const BuildName &build) { return shown(build.team) + "/" + std::to_string(build.runid); }

/// What is told of one build, and how often.
struct One {
    Entry entry;
    size_t count = 0;
    uint32_t scope = 0;
};

Collector<const lb_entry *, size_t> collect_one(One &into)
{
    return Collector<const lb_entry *, size_t>([&into](const lb_entry *entries, size_t count) {
        abi::for_each(entries, count, [&](const lb_entry &entry) {
            into.entry = abi::from_c(entry);
            into.scope = entry.scope;
            ++into.count;
        });
    });
}

Told<Entry> answered(Answer answer, const One &one, int64_t runid)
{
    if (answer.ok()) {
        expect(one.count == 1, answer.what + ": returned LB_OK and told " + std::to_string(one.count) +
                                   " entries; it tells the build's one, as it is then");
        expect(one.scope == LB_LIVE || one.scope == LB_ARCHIVED,
               answer.what + ": its entry has scope " + std::to_string(one.scope) + "; LB_LIVE and LB_ARCHIVED are");
        expect(one.entry.runid >= 1, answer.what + ": its entry has run id " + std::to_string(one.entry.runid));
        if (runid > 0)
            expect_same(answer.what + ": run id of its entry", std::to_string(runid), std::to_string(one.entry.runid));
    }
    return {std::move(answer), one.entry};
}

}  // namespace

std::string fresh_team() { return "check-" + random_hex(12); }

std::string fresh_uuid()
{
    return random_hex(8) + "-" + random_hex(4) + "-4" + random_hex(3) + "-8" + random_hex(3) + "-" + random_hex(12);
}

NewBuild new_build(const std::string &team, std::vector<std::pair<std::string, std::string>> files)
{
    const std::string uuid = fresh_uuid();
    return {team, uuid, R"({"team":")" + team + R"(","uuid":")" + uuid + R"(","spec":{}})", std::move(files)};
}

std::string joined(const std::vector<std::string> &words)
{
    std::string out;
    for (const std::string &word : words) out += (out.empty() ? "" : ", ") + word;
    return out.empty() ? "nothing" : out;
}

void Store::need_parallel() const
{
    if (!instance_.parallel()) skip("its table takes one call at a time (LB_SERIAL)");
}

Told<std::vector<std::string>> Store::teams(const Call &call) const
{
    Told<std::vector<std::string>> out;
    Collector<lb_str> each([&](lb_str team) { out.value.push_back(abi::text(team)); });
    const OutgoingCall outgoing(call);
    static_cast<Answer &>(out) =
        instance_.call("teams", "", &lb_store::teams, outgoing.get(), each.receive, static_cast<void *>(&each));
    return out;
}

Told<std::vector<Entry>> Store::list(const std::string &team, Scope scope, int64_t before, uint64_t limit, size_t enough,
                                     const Call &call) const
{
    Told<std::vector<Entry>> out;
    std::string wrong;
    Collector<const lb_entry *, size_t> each(
        [&](const lb_entry *entries, size_t count) {
            abi::for_each(entries, count, [&](const lb_entry &entry) {
                if (entry.struct_size < 24 && wrong.empty())
                    wrong = "an entry of struct_size " + std::to_string(entry.struct_size);
                if (entry.scope != LB_LIVE && entry.scope != LB_ARCHIVED && wrong.empty())
                    wrong = "an entry of scope " + std::to_string(entry.scope);
                out.value.push_back(abi::from_c(entry));
            });
        },
        enough);
    lb_query query = abi::sized<lb_query>();
    query.scope = static_cast<uint32_t>(scope);
    query.team = abi::str(team);
    query.before = before;
    query.limit = limit;
    const OutgoingCall outgoing(call);
    static_cast<Answer &>(out) =
        instance_.call("list", shown(team), &lb_store::list, outgoing.get(), static_cast<const lb_query *>(&query),
                       each.receive, static_cast<void *>(&each));
    expect(wrong.empty(), out.what + ": told " + wrong);
    expect(!each.after_enough(), out.what + ": called the receiver again after that had returned non-zero, which means enough");
    return out;
}

Told<Entry> Store::one(const char *name, const BuildName &build, EntryFunction lb_store::*function, const Call &call) const
{
    One one;
    Collector<const lb_entry *, size_t> each = collect_one(one);
    const lb_build raw = abi::to_c(build);
    const OutgoingCall outgoing(call);
    return answered(instance_.call(name, shown(build), function, outgoing.get(), static_cast<const lb_build *>(&raw),
                                   each.receive, static_cast<void *>(&each)),
                    one, build.runid);
}

Told<Entry> Store::find(const BuildName &build, const Call &call) const { return one("find", build, &lb_store::find, call); }
Told<Entry> Store::archive(const BuildName &build, const Call &call) const
{
    return one("archive", build, &lb_store::archive, call);
}
Told<Entry> Store::restore(const BuildName &build, const Call &call) const
{
    return one("restore", build, &lb_store::restore, call);
}

Told<Entry> Store::create(const NewBuild &build, const Call &call) const
{
    std::vector<lb_file> files;
    const lb_new_build raw = abi::to_c(build, files);
    One one;
    Collector<const lb_entry *, size_t> each = collect_one(one);
    const OutgoingCall outgoing(call);
    return answered(instance_.call("create", "a build of " + shown(build.team), &lb_store::create, outgoing.get(),
                                   &raw, each.receive, static_cast<void *>(&each)),
                    one, 0);
}

Told<std::vector<std::string>> Store::tags(const BuildName &build, const Call &call) const
{
    Told<std::vector<std::string>> out;
    Collector<lb_str> each([&](lb_str tag) { out.value.push_back(abi::text(tag)); });
    const lb_build raw = abi::to_c(build);
    const OutgoingCall outgoing(call);
    static_cast<Answer &>(out) = instance_.call("tags", shown(build), &lb_store::tags, outgoing.get(),
                                                static_cast<const lb_build *>(&raw), each.receive, static_cast<void *>(&each));
    return out;
}

Answer Store::edit_tags(const BuildName &build, const std::vector<std::string> &add, const std::vector<std::string> &remove,
                        const Call &call) const
{
    const std::vector<lb_str> added = abi::to_c(add), removed = abi::to_c(remove);
    const lb_build raw = abi::to_c(build);
    const OutgoingCall outgoing(call);
    return instance_.call("edit_tags", shown(build), &lb_store::edit_tags, outgoing.get(), static_cast<const lb_build *>(&raw),
                          added.data(), added.size(), removed.data(), removed.size());
}

Told<std::string> Store::read(const BuildName &build, std::string_view name, uint64_t offset, uint64_t max, size_t enough,
                              const Call &call) const
{
    Told<std::string> out;
    Collector<lb_str> each([&](lb_str piece) { out.value += abi::view(piece); }, enough);
    const lb_build raw = abi::to_c(build);
    const OutgoingCall outgoing(call);
    static_cast<Answer &>(out) = instance_.call("read", quote(name) + " of " + shown(build), &lb_store::read, outgoing.get(),
                                                static_cast<const lb_build *>(&raw), abi::str(name), offset, max, each.receive,
                                                static_cast<void *>(&each));
    expect(!each.after_enough(), out.what + ": called the receiver again after that had returned non-zero, which means enough");
    return out;
}

Answer Store::write_control(const BuildName &build, std::string_view name, std::string_view content, const Call &call) const
{
    const lb_build raw = abi::to_c(build);
    const OutgoingCall outgoing(call);
    return instance_.call("write_control", quote(name) + " of " + shown(build), &lb_store::write_control, outgoing.get(),
                          static_cast<const lb_build *>(&raw), abi::str(name), abi::str(content));
}

Answer Store::remove(const BuildName &build, const Call &call) const
{
    const lb_build raw = abi::to_c(build);
    const OutgoingCall outgoing(call);
    return instance_.call("remove", shown(build), &lb_store::remove, outgoing.get(), static_cast<const lb_build *>(&raw));
}

Told<std::vector<Finding>> Store::examine(const std::string &team, uint32_t repair) const
{
    Told<std::vector<Finding>> out;
    std::string wrong;
    Collector<const lb_finding *> each([&](const lb_finding *finding) {
        const lb_finding raw = abi::copy(finding);
        if (raw.state < LB_FOUND_REPAIRED || raw.state > LB_FOUND_LEFT) wrong = "state " + std::to_string(raw.state);
        out.value.push_back(abi::from_c(finding));
    });
    const Call call;
    const OutgoingCall outgoing(call);
    static_cast<Answer &>(out) = instance_.call("examine", team, &lb_store::examine, outgoing.get(), abi::str(team), repair,
                                                each.receive, static_cast<void *>(&each));
    expect(wrong.empty(), out.what + ": told a finding of " + wrong + "; LB_FOUND_REPAIRED, _REPAIRABLE and _LEFT are");
    return out;
}

Told<std::vector<lb_change>> Store::watch(const std::string &team, const std::function<bool(const lb_change &)> &each,
                                          const Call &call) const
{
    struct Watching {
        const std::function<bool(const lb_change &)> &each;
        std::vector<lb_change> seen{};
        bool enough = false, after_enough = false;
    } watching{each};
    const auto receive = [](void *ctx, const lb_change *change) noexcept -> int {
        Watching &self = *static_cast<Watching *>(ctx);
        self.after_enough |= self.enough;
        self.seen.push_back(abi::copy(change));
        self.enough = !self.each(self.seen.back());
        return self.enough ? 1 : 0;
    };
    const OutgoingCall outgoing(call);
    Told<std::vector<lb_change>> out;
    static_cast<Answer &>(out) = instance_.call("watch", team, &lb_store::watch, outgoing.get(), abi::str(team),
                                                static_cast<lb_change_fn>(receive), static_cast<void *>(&watching));
    expect(!watching.after_enough,
           out.what + ": called the receiver again after that had returned non-zero, which means enough");
    out.value = std::move(watching.seen);
    return out;
}

Told<int64_t> Store::age(const BuildName &build, std::string_view name) const
{
    Told<int64_t> out;
    const lb_build raw = abi::to_c(build);
    const Call call;
    const OutgoingCall outgoing(call);
    static_cast<Answer &>(out) = instance_.call("age", quote(name) + " of " + shown(build), &lb_store::age, outgoing.get(),
                                                static_cast<const lb_build *>(&raw), abi::str(name), &out.value);
    return out;
}

Told<std::string> Store::version(const std::string &team) const
{
    Told<std::string> out;
    size_t count = 0;
    Collector<lb_str> each([&](lb_str text) {
        out.value = abi::text(text);
        ++count;
    });
    const Call call;
    const OutgoingCall outgoing(call);
    static_cast<Answer &>(out) = instance_.call("version", shown(team), &lb_store::version, outgoing.get(), abi::str(team),
                                                each.receive, static_cast<void *>(&each));
    if (out.ok()) expect(count == 1, out.what + ": called the receiver " + std::to_string(count) + " times; once is asked for");
    return out;
}

Told<std::vector<std::string>> Store::notes(const std::string &team) const
{
    Told<std::vector<std::string>> out;
    Collector<lb_str> each([&](lb_str name) { out.value.push_back(abi::text(name)); });
    const Call call;
    const OutgoingCall outgoing(call);
    static_cast<Answer &>(out) = instance_.call("notes", shown(team), &lb_store::notes, outgoing.get(), abi::str(team),
                                                each.receive, static_cast<void *>(&each));
    return out;
}

Told<std::string> Store::read_note(const std::string &team, std::string_view name) const
{
    Told<std::string> out;
    Collector<lb_str> each([&](lb_str piece) { out.value += abi::view(piece); });
    const Call call;
    const OutgoingCall outgoing(call);
    static_cast<Answer &>(out) = instance_.call("read_note", quote(name) + " of " + shown(team), &lb_store::read_note,
                                                outgoing.get(), abi::str(team), abi::str(name), each.receive,
                                                static_cast<void *>(&each));
    return out;
}

Answer Store::write_note(const std::string &team, std::string_view name, std::string_view content, uint32_t durable) const
{
    const Call call;
    const OutgoingCall outgoing(call);
    return instance_.call("write_note", quote(name) + " of " + shown(team), &lb_store::write_note, outgoing.get(),
                          abi::str(team), abi::str(name), abi::str(content), durable);
}

Told<uint32_t> Store::swap_note(const std::string &team, std::string_view name, std::string_view before,
                                std::string_view content) const
{
    Told<uint32_t> out;
    const Call call;
    const OutgoingCall outgoing(call);
    static_cast<Answer &>(out) = instance_.call("swap_note", quote(name) + " of " + shown(team), &lb_store::swap_note,
                                                outgoing.get(), abi::str(team), abi::str(name), abi::str(before),
                                                abi::str(content), uint32_t{0}, &out.value);
    return out;
}

Answer Store::remove_note(const std::string &team, std::string_view name) const
{
    const Call call;
    const OutgoingCall outgoing(call);
    return instance_.call("remove_note", quote(name) + " of " + shown(team), &lb_store::remove_note, outgoing.get(),
                          abi::str(team), abi::str(name));
}

BuildName Store::made(const std::string &team, const std::vector<std::pair<std::string, std::string>> &files) const
{
    const Told<Entry> entry = create(new_build(team, files));
    expect_ok(entry);
    return {team, entry.value.runid};
}

std::string Store::listed(const std::string &team, Scope scope) const
{
    const Told<std::vector<Entry>> found = list(team, scope);
    expect_ok(found);
    std::string out;
    for (const Entry &entry : found.value)
        out += (out.empty() ? "" : " ") + std::string(entry.archived ? "a" : "") + std::to_string(entry.runid);
    return out.empty() ? "nothing" : out;
}

std::string Store::text(const BuildName &build, std::string_view name) const
{
    const Told<std::string> found = read(build, name);
    expect_ok(found);
    return found.value;
}

std::string Store::tag_list(const BuildName &build) const
{
    const Told<std::vector<std::string>> found = tags(build);
    expect_ok(found);
    return joined(found.value);
}

}  // namespace litbuild::conformance
