// The file system behind the store by the kernel's NFS client: a mount of this host.
#pragma once

#include <folder-store/posix_fs.hpp>

#include <nfs/leases.hpp>

namespace litbuild::nfs {

/// What NFS does not promise is not relied on: there are no notices, and locks are leases, as of those who speak to the server
/// directly. So a lock holds against all hosts, whatever the mount's version and options. It has to be made behind a
/// DeadlineFs: no call ends before the kernel lets it.
class MountedFs final : public folder::PosixFs {
public:
    /// As PosixFs. `lease`: how long a holder of a lock may be silent before it is taken away; the same on all hosts.
    explicit MountedFs(const std::string &root, std::chrono::milliseconds lease = default_lease,
                       folder::Resolve resolve = folder::Resolve::automatic)
        : PosixFs(root, resolve), leases_(lease)
    {
    }

    uint64_t capabilities() const override { return LB_STORE_DURABLE | LB_STORE_LOCAL_PATH | LB_STORE_SHARED; }
    std::unique_ptr<folder::Notices> notices() override { return nullptr; }

protected:
    std::unique_ptr<folder::Lock> hold(const Call &call, int dir, const folder::Path &path, Times times) const override;

private:
    mutable Leases leases_;
};

}  // namespace litbuild::nfs
