#include <folder-store/fs.hpp>

#include <algorithm>
#include <cerrno>

namespace litbuild::folder {

// Others choose the names that it may hold.
std::string Fs::shown_name(const std::string &text) const
{
    const bool is_plain = std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
    return is_plain && root().size() + text.size() < 300 ? text : quote(text);
}

std::string Fs::shown(const Path &path) const
{
    if (path.is_root()) return root();
    return (root() == "/" ? "" : root()) + "/" + shown_name(path.text());
}

Error Fs::failed(const Path &path, const char *action, int number) const
{
    if (number == ELOOP)
        return Error(Code::corrupt, shown(path) + ": leads through a symbolic link, which is not followed", number);
    return os_error(shown(path), action, number);
}

void Fs::require_held(const Call &call, Lock *held, const Path &path) const
{
    if (held && !held->is_held(call))
        throw Error(Code::unavailable, shown(path) + ": its lock was taken away, for it took too long; try again");
}

void Fs::raise(const TreeFault &fault, const Path &tree) const
{
    if (fault.number == 0) return;
    // Not a Path: it may be longer than one can be.
    const std::string place = shown(tree) + (fault.where.empty() ? "" : "/") + shown_name(fault.where);
    if (fault.number == EXDEV) throw Error(Code::refused, place + ": is a mount point", EXDEV);
    if (fault.number == ESTALE && !fault.in_copy) throw Error(Code::unavailable, place + ": changes while it is read", ESTALE);
    if (fault.number == ELOOP || fault.number == ENOTDIR)
        throw Error(Code::unavailable, place + ": was swapped for something else meanwhile", fault.number);
    const Error error = os_error(place, fault.action, fault.number);
    // A disk's own time limit is not the caller's: what it says is that nobody knows what was written.
    if (fault.in_copy && (error.code() == Code::timeout || error.code() == Code::cancelled))
        throw Error(Code::unavailable, error.what(), fault.number);
    throw error;
}

}  // namespace litbuild::folder
