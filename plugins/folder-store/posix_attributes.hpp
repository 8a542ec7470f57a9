// What a file is besides its content: owner, mode, extended attributes, times.
#pragma once

#include <map>
#include <string>

#include <sys/stat.h>

namespace litbuild::folder {

/// Name and value. Access control lists are among them.
using Attributes = std::map<std::string, std::string>;

/// The extended attributes of an open file or folder; a file system without any has none. 0 or an errno.
int read_attributes(int fd, Attributes &out);

/// The mode that the copy of `from` gets. Where the copy cannot belong to the same group, its group gets no more than
/// everybody; where it cannot belong to the same user and group, no set-id bit survives.
mode_t mode_of_copy(const struct stat &from, const struct stat &copy) noexcept;

/// Gives an open file or folder the owner (where permitted), extended attributes, mode and times of another; of those
/// that it has already, nothing is written. Extended attributes that have to be kept are those of users ("user.") and
/// access control lists; the others are kept where that is permitted. 0 or an errno.
int copy_attributes(int from, const struct stat &from_stat, int to);

/// The same for what is never opened (links, pipes, sockets, devices): owner, mode and times. EBUSY: it is not what was just
/// made, but something else, or something that has a name elsewhere, too.
int copy_attributes_at(const struct stat &from, int dir, const char *name);

/// Whether copy_attributes() would change nothing. 0 or an errno.
int has_attributes(int from, const struct stat &from_stat, int to, bool &same);

bool must_be_kept(const std::string &attribute) noexcept;
inline bool same_time(const timespec &a, const timespec &b) noexcept
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

}  // namespace litbuild::folder
