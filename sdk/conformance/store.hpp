// A build store, as the checks use it: each function answers with its code and what it told, and notices at once what no
// store may tell.
#pragma once

#include <string>
#include <vector>

#include "calls.hpp"

namespace litbuild::conformance {

template <class T>
struct Told : Answer {
    T value{};
};

class Store {
public:
    explicit Store(Context &context) : instance_(context) {}

    const Instance<lb_store> &instance() const noexcept { return instance_; }
    void close() { instance_.close(); }
    bool promises(uint64_t capability) const { return (instance_.capabilities() & capability) != 0; }
    /// Skips where the table takes one call at a time.
    void need_parallel() const;

    Told<std::vector<std::string>> teams(const Call &call = {}) const;
    /// `enough`: the receiver says so after so many calls.
    Told<std::vector<Entry>> list(const std::string &team, Scope scope = Scope::live, int64_t before = 0, uint64_t limit = 0,
                                  size_t enough = SIZE_MAX, const Call &call = {}) const;
    Told<Entry> find(const BuildName &build, const Call &call = {}) const;
    Told<Entry> create(const NewBuild &build, const Call &call = {}) const;
    Told<Entry> archive(const BuildName &build, const Call &call = {}) const;
    Told<Entry> restore(const BuildName &build, const Call &call = {}) const;
    Told<std::vector<std::string>> tags(const BuildName &build, const Call &call = {}) const;
    Answer edit_tags(const BuildName &build, const std::vector<std::string> &add, const std::vector<std::string> &remove = {},
                     const Call &call = {}) const;
    Told<std::string> read(const BuildName &build, std::string_view name, uint64_t offset = 0, uint64_t max = 0,
                           size_t enough = SIZE_MAX, const Call &call = {}) const;
    Answer write_control(const BuildName &build, std::string_view name, std::string_view content, const Call &call = {}) const;
    Answer remove(const BuildName &build, const Call &call = {}) const;
    Told<std::vector<Finding>> examine(const std::string &team, uint32_t repair) const;
    Told<std::vector<lb_change>> watch(const std::string &team, const std::function<bool(const lb_change &)> &each,
                                       const Call &call) const;
    Told<int64_t> age(const BuildName &build, std::string_view name) const;
    Told<std::string> version(const std::string &team) const;
    Told<std::vector<std::string>> notes(const std::string &team) const;
    Told<std::string> read_note(const std::string &team, std::string_view name) const;
    Answer write_note(const std::string &team, std::string_view name, std::string_view content, uint32_t durable = 0) const;
    /// 1: replaced; 0: not.
    Told<uint32_t> swap_note(const std::string &team, std::string_view name, std::string_view before,
                             std::string_view content) const;
    Answer remove_note(const std::string &team, std::string_view name) const;

    // The same, for checks that are about something else: what is not LB_OK fails, or skips where it is not supported.

    BuildName made(const std::string &team, const std::vector<std::pair<std::string, std::string>> &files = {}) const;
    std::string listed(const std::string &team, Scope scope = Scope::live) const;   ///< "3 a2 1", archived ones marked
    std::string text(const BuildName &build, std::string_view name) const;
    std::string tag_list(const BuildName &build) const;                             ///< "nightly, first"

private:
    using EntryFunction = int32_t (*)(void *, const lb_call *, const lb_build *, lb_entries_fn, void *, lb_error *);
    Told<Entry> one(const char *name, const BuildName &build, EntryFunction lb_store::*function, const Call &call) const;

    Instance<lb_store> instance_;
};

/// A team that no other check and no earlier run has used.
std::string fresh_team();
std::string fresh_uuid();
NewBuild new_build(const std::string &team, std::vector<std::pair<std::string, std::string>> files = {});
std::string joined(const std::vector<std::string> &words);

}  // namespace litbuild::conformance
