// The file system as FolderStore sees it: few operations, on paths below one root. PosixFs is the kernel's; a file
// server that is spoken to directly is another one, and tests put faults in between.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <litbuild/call.hpp>
#include <litbuild/names.hpp>
#include <litbuild/store.hpp>

namespace litbuild::folder {

/// May stand in a path: 1 to 255 bytes, no '/', no zero byte, neither "." nor "..".
inline bool is_component(std::string_view name) noexcept
{
    return !name.empty() && name.size() <= 255 && name != "." && name != ".." &&
           name.find_first_of(std::string_view("/\0", 2)) == std::string_view::npos;
}

/// A path below the root that cannot lead out of it: components joined by '/'. The default is the root itself.
class Path {
public:
    Path() = default;

    /// Code::invalid: `name` is no component.
    Path operator/(std::string_view name) const
    {
        if (!is_component(name)) throw Error(Code::invalid, quote(name) + ": not a file name");
        Path path;
        path.text_.reserve(text_.size() + 1 + name.size());
        path.text_ = text_;
        if (!text_.empty()) path.text_ += '/';
        path.text_ += name;
        return path;
    }

    const std::string &text() const noexcept { return text_; }
    bool is_root() const noexcept { return text_.empty(); }
    /// The last component.
    std::string_view name() const noexcept { return std::string_view(text_).substr(text_.rfind('/') + 1); }
    Path parent() const
    {
        Path path;
        const size_t slash = text_.rfind('/');
        if (slash != std::string::npos) path.text_ = text_.substr(0, slash);
        return path;
    }

private:
    std::string text_;
};

using litbuild::Durable;

enum class Kind { none, file, folder, other };
enum class Renamed { done, missing, exists, other_file_system };
/// `no_file`: the folder that it would be in was there, and had no such file at that moment.
enum class Read { done, no_file, no_folder };
/// How much of two trees is compared: names, kinds, sizes, modes, times, links and extended attributes; or the content, too.
enum class Compare { attributes, all };

struct Info {
    Kind kind = Kind::none;      ///< what it is itself; a symbolic link is `other`
    int64_t modified_ns = 0;     ///< on the clock of the file system
    uint64_t size = 0;
    uint64_t inode = 0;          ///< which one it is: a file that was replaced has another
    int64_t changed_ns = 0;      ///< as modified_ns, but nobody can set it; 0: not known
};

struct TreeSize {
    uint64_t items = 0;
    uint64_t bytes = 0;          ///< of its files, holes included
};

/// What went wrong with a part of a tree.
struct TreeFault {
    int number = 0;      ///< errno; 0: nothing
    std::string where;   ///< relative to the top
    const char *action = "";
    bool in_copy = false;   ///< not in the tree that is read
};

/// Held by who made it, as long as it lives.
class Lock {
public:
    virtual ~Lock() = default;
    /// False: it was taken away, for its holder was taken for gone. Throws as the functions of Fs.
    virtual bool is_held(const Call &) { return true; }
};

/// Tells that something has happened in folders. Threads: one at a time.
class Notices {
public:
    virtual ~Notices() = default;
    /// Looks at a folder from here on; what happens in it is told with `key`, which several folders may share. False: it
    /// cannot look at so many, or not at this one, or there is none.
    virtual bool add(const Path &folder, int64_t key) = 0;
    /// All folders of that key.
    virtual void forget(int64_t key) = 0;
    /// Receives the key of a folder, and the name in it that something happened to.
    using Sink = std::function<void(int64_t key, std::string_view name)>;
    /// Waits for what happens, `most` at most, and less where the call ends. False: more has happened than could be kept.
    virtual bool wait(const Call &call, std::chrono::milliseconds most, const Sink &each) = 0;
};

/// Receives a name in a folder; returns false for "enough".
using NameSink = std::function<bool(std::string_view name, Kind kind)>;
/// Receives the content of a file, returns what it is to be.
using Change = std::function<std::string(std::string_view content)>;

/// Receives the number of bytes that are done since it was last told.
using Told = std::function<void(uint64_t bytes)>;

/// No function follows a symbolic link below the root: where one stands in the way, Code::corrupt.
/// Each takes the limits of the call that it is done for: one that waits for a server ends by them, with Code::timeout or
/// Code::cancelled. What it was to do may be done all the same then, or be done later; looking at it tells.
/// Threads: any number of calls at once. Errors: litbuild::Error, whose sentence starts with the path in full.
class Fs {
public:
    virtual ~Fs() = default;

    /// LB_STORE_* bits that a store on it may promise.
    virtual uint64_t capabilities() const = 0;
    /// How old what it tells may be, because what other hosts do is seen late.
    virtual std::chrono::milliseconds as_of() const { return std::chrono::milliseconds(0); }
    /// The root as users know it, absolute, no '/' at its end (but "/").
    virtual const std::string &root() const = 0;
    /// The path in full, as sentences show it: quoted where it is long, or holds what a terminal would obey.
    std::string shown(const Path &path) const;

    /// Every name but "." and "..", in any order. False: no such folder.
    virtual bool read_dir(const Call &call, const Path &dir, const NameSink &each) = 0;
    /// Kind::none: nothing there.
    virtual Info look(const Call &call, const Path &path) = 0;
    /// A piece of a regular file, at most `max` bytes (0: to its end).
    /// Code::corrupt: it is a folder, a pipe, a device; that is found out without waiting for one.
    virtual Read read(const Call &call, const Path &path, uint64_t offset, uint64_t max, const TextSink &sink) = 0;
    /// The same. False: no such file.
    bool read_file(const Call &call, const Path &path, uint64_t offset, uint64_t max, const TextSink &sink)
    {
        return read(call, path, offset, max, sink) == Read::done;
    }

    /// False: something of that name is there already. Code::not_found: its parent is not.
    virtual bool make_dir(const Call &call, const Path &path) = 0;
    /// The same; who may write in its parent may write in it, where that can be given. Default: as make_dir().
    virtual bool make_dir_alike(const Call &call, const Path &path) { return make_dir(call, path); }
    /// A new file. Code::exists, Code::not_found as make_dir.
    virtual void write_file(const Call &call, const Path &path, std::string_view content, Durable durable) = 0;
    /// The file as a whole, new or instead of an old one: readers see one or the other.
    virtual void replace_file(const Call &call, const Path &path, std::string_view content, Durable durable) = 0;
    /// Replaces a file (missing: empty, 1 MiB at most) by what `change` makes of it, while no other edit_file of it is
    /// under way in any process; the same text changes nothing. The folder is held: moving it meanwhile does no harm.
    /// Code::timeout, Code::cancelled: while others held it.
    virtual void edit_file(const Call &call, const Path &path, Durable durable, const Change &change) = 0;
    /// Never replaces anything. `missing`: there is no `from`, or no folder that it could be in.
    virtual Renamed rename(const Call &call, const Path &from, const Path &to) = 0;
    /// What was made, renamed and removed in the folder outlives a power cut.
    virtual void sync_dir(const Call &call, const Path &dir) = 0;
    /// False: nothing of that name. A folder is none.
    virtual bool remove_file(const Call &call, const Path &path) = 0;
    /// A folder and all that is in it, however deep; links are removed, not followed; folders that are not writable are
    /// made so. Nothing there: no error. Code::refused: something is mounted in it.
    virtual void remove_tree(const Call &call, const Path &path) = 0;

    /// Waits for the lock that goes with a path, the one of edit_file; makes no other change that anybody could see.
    /// Code::timeout, Code::cancelled: while others held it. Code::unsupported: there are none here.
    virtual std::unique_ptr<Lock> lock(const Call &call, const Path &path) = 0;

    /// Code::refused: something is mounted in it.
    virtual TreeSize measure(const Call &call, const Path &tree) = 0;
    /// Makes `to` the same as `from`, on the disk when it returns: content with its holes, modes, times, links and names of
    /// one file as they are, extended attributes and access lists, pipes, sockets and devices; owners where permitted.
    /// What is the same in `to` by size and time is not copied again, what is not in `from` is removed from it. Never
    /// changes `from`; may use the name of `to` with ".links" behind it until it returns. Code::not_found: no folder `from`.
    /// Code::denied: a part may not be read, or a device not be made.
    /// Code::unsupported: `to` cannot keep an extended attribute. Code::unavailable: a part of `from` was swapped meanwhile.
    /// False: a part of `from` went away while it was read; `to` may be copied to again.
    virtual bool copy_tree(const Call &call, const Path &from, const Path &to, const Told &told) = 0;
    /// Whether `copy` is what copy_tree makes of `tree`.
    virtual bool same_tree(const Call &call, const Path &tree, const Path &copy, Compare what, const Told &told) = 0;

    /// Null: what happens is not told here; who wants to know has to look.
    virtual std::unique_ptr<Notices> notices() { return nullptr; }

protected:
    /// Code::corrupt for ELOOP: no symbolic link is followed.
    Error failed(const Path &path, const char *action, int number) const;
    /// Last thing before a change that a lock protects. Code::unavailable: it was taken away. Null: there is none.
    void require_held(const Call &call, Lock *held, const Path &path) const;
    /// Throws what it tells of; nothing: returns.
    void raise(const TreeFault &fault, const Path &tree) const;

private:
    std::string shown_name(const std::string &text) const;
};

}  // namespace litbuild::folder
