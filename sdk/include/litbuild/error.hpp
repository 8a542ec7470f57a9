// The errors of litbuild: a closed set of codes, and one sentence that starts with the object
// ("contoso/19: is running; stop it before archiving").
#pragma once

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>

#include <litbuild/plugin.h>

namespace litbuild {

enum class Code : int {
    not_found = LB_NOT_FOUND,
    exists = LB_EXISTS,
    denied = LB_DENIED,
    invalid = LB_INVALID,
    unsupported = LB_UNSUPPORTED,
    unavailable = LB_UNAVAILABLE,
    no_space = LB_NO_SPACE,
    corrupt = LB_CORRUPT,
    cancelled = LB_CANCELLED,
    timeout = LB_TIMEOUT,
    internal = LB_INTERNAL,
    refused = LB_REFUSED,
};

/// The name of a code in lower case, as it stands in JSON: "not_found".
inline const char *name(Code code) noexcept
{
    switch (code) {
    case Code::not_found: return "not_found";
    case Code::exists: return "exists";
    case Code::denied: return "denied";
    case Code::invalid: return "invalid";
    case Code::unsupported: return "unsupported";
    case Code::unavailable: return "unavailable";
    case Code::no_space: return "no_space";
    case Code::corrupt: return "corrupt";
    case Code::cancelled: return "cancelled";
    case Code::timeout: return "timeout";
    case Code::internal: return "internal";
    case Code::refused: return "refused";
    }
    return "internal";
}

/// What every function of litbuild throws, and nothing else but std::bad_alloc.
class LITBUILD_EXPORT Error : public std::runtime_error {
public:
    Error(Code code, const std::string &sentence, int os_errno = 0)
        : std::runtime_error(sentence), code_(code), os_errno_(os_errno)
    {
    }

    Code code() const noexcept { return code_; }
    /// errno of the system call that failed; 0: none did.
    int os_errno() const noexcept { return os_errno_; }

private:
    Code code_;
    int os_errno_;
};

/// The one place that maps errno.
inline Code code_of_errno(int number) noexcept
{
    switch (number) {
    case ENOENT:
    case ESRCH: return Code::not_found;
    case EEXIST:
    case ENOTEMPTY: return Code::exists;
    case EACCES:
    case EPERM:
    case EROFS: return Code::denied;
    case EINVAL:
    case ENAMETOOLONG: return Code::invalid;
    case ELOOP:
    case ENOTDIR:
    case EISDIR:
    case EXDEV: return Code::corrupt;
    case ENOSYS:
    case EOPNOTSUPP: return Code::unsupported;
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return Code::no_space;
    case ECANCELED: return Code::cancelled;
    case ETIMEDOUT: return Code::timeout;
    case EAGAIN:
    case EBUSY:
    case EINTR:
    case EIO:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ESTALE: return Code::unavailable;
    default: return Code::internal;
    }
}

/// "OBJECT: cannot ACTION: No such file or directory".
inline Error os_error(const std::string &object, const std::string &action, int number)
{
    char text[128];
    // The GNU strerror_r returns the text, which may not be in the buffer.
    const char *words = ::strerror_r(number, text, sizeof text);
    return Error(code_of_errno(number), object + ": cannot " + action + ": " + words, number);
}

}  // namespace litbuild
