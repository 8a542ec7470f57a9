#include <nfs/mounted_fs.hpp>

#include <cerrno>

#include <nfs/mounted_folder.hpp>

namespace litbuild::nfs {

std::unique_ptr<folder::Lock> MountedFs::hold(const Call &call, int dir, const folder::Path &path, Times times) const
{
    try {
        return std::make_unique<HeldLease>(leases_, Call(), call, std::make_shared<MountedFolder>(dir), path.name(),
                                           shown(path), times == Times::keep ? HeldLease::Times::keep
                                                                             : HeldLease::Times::change);
    } catch (const Refusal &refusal) {
        // The folder itself is gone.
        throw failed(path, "lock it", refusal.number == ESTALE ? ENOENT : refusal.number);
    }
}

}  // namespace litbuild::nfs
