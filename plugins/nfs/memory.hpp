// What was seen on the server a moment ago, so that a list of builds with their states costs calls by the page.
//
// status.json and build.json are replaced, never changed in place, and tags are made once; so this changes the time of the
// build's folder (that of its last change, which nobody can set), and a listing of the folder of builds tells those times. What
// was read of a folder counts as long as listings, none older than `fresh`, show it with the time that it had then; and only
// where it had had that time for `fresh` before it was read, for a server's clock may not tell two changes in a row apart.
// Somebody may edit such a file in place, by hand: so it counts for five minutes at most.
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include <litbuild/call.hpp>

#include <folder-store/fs.hpp>

#include <nfs/client.hpp>

namespace litbuild::nfs {

/// Threads: any.
class Memory {
public:
    /// Zero: nothing is remembered.
    explicit Memory(std::chrono::milliseconds fresh) : fresh_(fresh) {}
    bool is_on() const noexcept { return fresh_.count() > 0; }
    std::chrono::milliseconds fresh() const noexcept { return fresh_; }

    /// Handles of folders high up, which hardly ever change.
    void found(const folder::Path &path, const std::string &handle);
    std::optional<std::string> handle(const folder::Path &path);

    /// `begun`: when it was asked for; nothing in it is older.
    void listed(const folder::Path &path, const std::vector<Item> &items, Clock::time_point begun);
    enum class Listing {
        fresh,
        old,      ///< and much is asked for that it could tell
        none,
    };
    /// Of the folder that `folder` lies in.
    Listing listing(const folder::Path &folder);

    struct Known {
        std::string handle;                      ///< of the folder
        int64_t changed_ns = 0;
        bool is_quiet = false;                   ///< what is read of it now may be remembered
        bool has_file = false;
        std::optional<std::string> content{};    ///< where has_file; none: there is no such file
    };
    /// What a fresh listing tells of a folder and of a file in it.
    std::optional<Known> known(const folder::Path &folder, std::string_view file);
    void read(const folder::Path &folder, const Known &known, std::string_view file, const std::optional<std::string> &content);

    struct Next {
        folder::Path folder;
        Known known;
    };
    /// Where a file is asked for in one folder after the other, in the order of their numbers: that folder and the next ones,
    /// in which it is not known. Else nothing.
    std::vector<Next> next(const folder::Path &folder, std::string_view file);
    /// What was read before it was asked for, a moment ago: is told once.
    void read_ahead(const Next &next, std::string_view file, const std::optional<std::string> &content);

    /// Something was changed from here: of listings that were asked for before, nothing counts any more.
    void forget();
    /// The same, for a handle was of something that is gone.
    void forget_all();
    /// About what is kept of files; 64 MiB at most.
    size_t bytes();

private:
    using Files = std::map<std::string, std::pair<std::optional<std::string>, Clock::time_point>, std::less<>>;
    struct Folder {
        std::string handle;
        int64_t changed_ns = 0;
        Clock::time_point since;   // first seen with that time
        Files files, ahead;
    };
    // How somebody goes through the folders, file by file.
    struct Course {
        int64_t last = 0;
        int direction = 0;
        size_t steps = 0;
    };
    struct Listed {
        Clock::time_point time;
        bool is_valid = true;
        uint64_t asked = 0;
        std::unordered_map<std::string, Folder> folders;
        std::vector<int64_t> numbers;   // of the folders, in order; empty: not looked at
        std::map<std::string, Course, std::less<>> courses;
    };
    static size_t size_of(const Files::value_type &file) noexcept;
    void drop(Files &files, Files::iterator file);
    void drop(Folder &folder);
    void keep(Files &files, std::string_view file, const std::optional<std::string> &content);
    static void step(Listed &listed, const folder::Path &folder, std::string_view file);
    Folder *find(const folder::Path &folder, Listed **in = nullptr);

    const std::chrono::milliseconds fresh_;
    std::mutex mutex_;
    std::map<std::string, std::pair<std::string, Clock::time_point>> handles_;
    std::map<std::string, Listed> listings_;
    size_t bytes_ = 0;
    Clock::time_point forgotten_;
};

}  // namespace litbuild::nfs
