// The system calls that the file system answers: they take a path or a descriptor of a file, and may fail as a disk fails.
#pragma once

#include <fcntl.h>

#include "store/trace.hpp"

namespace support {

struct FileCall {
    uint64_t number;
    const char *name;
    bool changes;      ///< names or contents: one that was executed may be reported as failed
    bool makes_safe;   ///< who ignores its failure promises what is not so
};

/// Null: not one of them. Left out: what only touches the descriptor (fcntl that does not lock, dup), memory (mmap),
/// sockets and timers.
inline const FileCall *file_call(const SystemCall &asked)
{
    static constexpr FileCall all[] = {
        {SYS_open, "open", false, false},
        {SYS_openat, "openat", false, false},
        {SYS_openat2, "openat2", false, false},
        {SYS_creat, "creat", true, false},
        {SYS_close, "close", true, false},
        {SYS_read, "read", false, false},
        {SYS_pread64, "pread64", false, false},
        {SYS_readv, "readv", false, false},
        {SYS_preadv, "preadv", false, false},
        {SYS_write, "write", true, false},
        {SYS_pwrite64, "pwrite64", true, false},
        {SYS_writev, "writev", true, false},
        {SYS_pwritev, "pwritev", true, false},
        {SYS_copy_file_range, "copy_file_range", true, false},
        {SYS_sendfile, "sendfile", true, false},
        {SYS_splice, "splice", true, false},
        {SYS_lseek, "lseek", false, false},
        {SYS_ioctl, "ioctl", true, false},
        {SYS_fcntl, "fcntl", false, false},
        {SYS_flock, "flock", false, false},
        {SYS_stat, "stat", false, false},
        {SYS_lstat, "lstat", false, false},
        {SYS_fstat, "fstat", false, false},
        {SYS_newfstatat, "newfstatat", false, false},
        {SYS_statx, "statx", false, false},
        {SYS_statfs, "statfs", false, false},
        {SYS_fstatfs, "fstatfs", false, false},
        {SYS_access, "access", false, false},
        {SYS_faccessat, "faccessat", false, false},
        {SYS_faccessat2, "faccessat2", false, false},
        {SYS_getdents64, "getdents64", false, false},
        {SYS_mkdir, "mkdir", true, false},
        {SYS_mkdirat, "mkdirat", true, false},
        {SYS_mknod, "mknod", true, false},
        {SYS_mknodat, "mknodat", true, false},
        {SYS_rename, "rename", true, false},
        {SYS_renameat, "renameat", true, false},
        {SYS_renameat2, "renameat2", true, false},
        {SYS_unlink, "unlink", true, false},
        {SYS_unlinkat, "unlinkat", true, false},
        {SYS_rmdir, "rmdir", true, false},
        {SYS_link, "link", true, false},
        {SYS_linkat, "linkat", true, false},
        {SYS_symlink, "symlink", true, false},
        {SYS_symlinkat, "symlinkat", true, false},
        {SYS_readlink, "readlink", false, false},
        {SYS_readlinkat, "readlinkat", false, false},
        {SYS_truncate, "truncate", true, false},
        {SYS_ftruncate, "ftruncate", true, false},
        {SYS_fallocate, "fallocate", true, false},
        {SYS_fadvise64, "fadvise64", false, false},
        {SYS_fsync, "fsync", true, true},
        {SYS_fdatasync, "fdatasync", true, true},
        {SYS_syncfs, "syncfs", true, true},
        {SYS_sync_file_range, "sync_file_range", true, false},
        {SYS_chmod, "chmod", true, false},
        {SYS_fchmod, "fchmod", true, false},
        {SYS_fchmodat, "fchmodat", true, false},
        {SYS_fchown, "fchown", true, false},
        {SYS_lchown, "lchown", true, false},
        {SYS_fchownat, "fchownat", true, false},
        {SYS_utimensat, "utimensat", true, false},
        {SYS_setxattr, "setxattr", true, false},
        {SYS_lsetxattr, "lsetxattr", true, false},
        {SYS_fsetxattr, "fsetxattr", true, false},
        {SYS_getxattr, "getxattr", false, false},
        {SYS_lgetxattr, "lgetxattr", false, false},
        {SYS_fgetxattr, "fgetxattr", false, false},
        {SYS_listxattr, "listxattr", false, false},
        {SYS_llistxattr, "llistxattr", false, false},
        {SYS_flistxattr, "flistxattr", false, false},
        {SYS_removexattr, "removexattr", true, false},
        {SYS_fremovexattr, "fremovexattr", true, false},
    };
    if (asked.number == SYS_fcntl) {
        const uint64_t command = asked.arguments[1];
        if (command != F_SETLK && command != F_SETLKW && command != F_OFD_SETLK && command != F_OFD_SETLKW) return nullptr;
    }
    for (const FileCall &call : all)
        if (call.number == asked.number) return &call;
    return nullptr;
}

inline std::string name_of_call(const SystemCall &asked)
{
    const FileCall *const call = file_call(asked);
    return call ? call->name : "call " + std::to_string(asked.number);
}

}  // namespace support
