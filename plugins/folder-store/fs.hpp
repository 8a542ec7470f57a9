// The file system as FolderStore sees it: few operations, on paths below one root. PosixFs is the kernel's; a file
// server that is spoken to directly is another one, and tests put faults in between.
#pragma once

#include <functional>
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

enum class Kind { none, file, folder, other };
enum class Durable { no, yes };
enum class Renamed { done, missing, exists, other_file_system };

struct Info {
    Kind kind = Kind::none;      ///< what it is itself; a symbolic link is `other`
    int64_t modified_ns = 0;     ///< on the clock of the file system
};

/// Receives a name in a folder; returns false for "enough".
using NameSink = std::function<bool(std::string_view name, Kind kind)>;
/// Receives the content of a file, returns what it is to be.
using Change = std::function<std::string(std::string_view content)>;

/// No function follows a symbolic link below the root: where one stands in the way, Code::corrupt.
/// Threads: any number of calls at once. Errors: litbuild::Error, whose sentence starts with the path in full.
class Fs {
public:
    virtual ~Fs() = default;

    /// LB_STORE_* bits that a store on it may promise.
    virtual uint64_t capabilities() const = 0;
    /// The root as users know it, absolute, no '/' at its end (but "/").
    virtual const std::string &root() const = 0;

    /// Every name but "." and "..", in any order. False: no such folder.
    virtual bool read_dir(const Path &dir, const NameSink &each) = 0;
    /// Kind::none: nothing there.
    virtual Info look(const Path &path) = 0;
    /// A piece of a regular file, at most `max` bytes (0: to its end). False: no such file.
    /// Code::corrupt: it is a folder, a pipe, a device; that is found out without waiting for one.
    virtual bool read_file(const Call &call, const Path &path, uint64_t offset, uint64_t max, const TextSink &sink) = 0;

    /// False: something of that name is there already. Code::not_found: its parent is not.
    virtual bool make_dir(const Path &path) = 0;
    /// A new file. Code::exists, Code::not_found as make_dir.
    virtual void write_file(const Path &path, std::string_view content, Durable durable) = 0;
    /// The file as a whole, new or instead of an old one: readers see one or the other.
    virtual void replace_file(const Path &path, std::string_view content, Durable durable) = 0;
    /// Replaces a file (missing: empty, 1 MiB at most) by what `change` makes of it, while no other edit_file of it is
    /// under way in any process; the same text changes nothing. The folder is held: moving it meanwhile does no harm.
    /// Code::timeout, Code::cancelled: while others held it.
    virtual void edit_file(const Call &call, const Path &path, Durable durable, const Change &change) = 0;
    /// Never replaces anything. `missing`: there is no `from`, or no folder that it could be in.
    virtual Renamed rename(const Path &from, const Path &to) = 0;
    /// What was made, renamed and removed in the folder outlives a power cut.
    virtual void sync_dir(const Path &dir) = 0;
    /// A folder and all that is in it; links are removed, not followed. Nothing there: no error.
    virtual void remove_tree(const Path &path) = 0;
};

}  // namespace litbuild::folder
