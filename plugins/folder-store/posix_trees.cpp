// PosixFs: whole trees, and locks that are held.
#include <folder-store/posix_fs.hpp>

#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <folder-store/pause.hpp>
#include <folder-store/posix_dir.hpp>

namespace litbuild::folder {

using linux_::Descriptor;

namespace {

class HeldFile final : public Lock {
public:
    explicit HeldFile(Descriptor file) : file_(std::move(file)) {}

private:
    Descriptor file_;
};

bool has_no_locks(int number) noexcept
{
    return number == ENOLCK || number == EOPNOTSUPP || number == ENOSYS || number == EINVAL;
}

}  // namespace

Descriptor PosixFs::open_tree(const Path &path) const
{
    Descriptor dir = root_.open(path, O_RDONLY | O_DIRECTORY);
    if (!dir) throw failed(path, "open it", errno);
    return dir;
}

void PosixFs::remove_tree(const Call &call, const Path &path)
{
    const Descriptor dir = root_.open(path.parent(), O_RDONLY | O_DIRECTORY);
    if (!dir && (errno == ENOENT || errno == ENOTDIR)) return;
    if (!dir) throw failed(path, "remove it", errno);
    TreeFault fault;
    fault.action = "remove it";
    // Who held a folder in it from before, to edit a file there, may still have made one behind us.
    for (int attempt = 0; attempt < 100; ++attempt) {
        fault.where.clear();
        fault.number = remove_entry(call, dir.get(), std::string(path.name()), shown(path), fault.where);
        if (fault.number == 0) return;
        // What somebody has open an NFS client keeps as .nfs..., and removes when he closes it.
        const bool is_open = root_.is_nfs() && fault.number == EBUSY;
        if (!is_open && fault.number != ENOTEMPTY && fault.number != EEXIST) break;
        call.check(shown(path));
        if (is_open) pause(call, std::chrono::milliseconds(20));
    }
    raise(fault, path.parent());
}

bool PosixFs::is_still(int dir, const Path &path) const
{
    struct stat held, there;
    const Descriptor now = root_.open(path, O_PATH | O_DIRECTORY);
    if (!now && (errno == ENOENT || errno == ENOTDIR)) return false;
    if (!now || ::fstat(now.get(), &there) != 0 || ::fstat(dir, &held) != 0) throw failed(path, "look at it", errno);
    return held.st_ino == there.st_ino && held.st_dev == there.st_dev;
}

std::unique_ptr<Lock> PosixFs::hold(const Call &call, int dir, const Path &path, Times times) const
{
    return std::make_unique<HeldFile>(lock(call, dir, path, times));
}

std::unique_ptr<Lock> PosixFs::lock(const Call &call, const Path &path)
{
    const Descriptor dir = parent_of(path, "lock it");
    try {
        return hold(call, dir.get(), path, Times::keep);
    } catch (const Error &error) {
        if (!has_no_locks(error.os_errno())) throw;
        throw Error(Code::unsupported, shown(path) + ": there are no locks here", error.os_errno());
    }
}

TreeSize PosixFs::measure(const Call &call, const Path &tree)
{
    TreeSize size;
    raise(measure_tree(call, open_tree(tree), shown(tree), size), tree);
    return size;
}

bool PosixFs::copy_tree(const Call &call, const Path &from, const Path &to, const Told &told)
{
    const Path links = to.parent() / (std::string(to.name()) + ".links");
    remove_tree(call, links);
    // Nobody is to look into them while modes and owners are not what they will be.
    for (const Path &made : {to, links})
        if (make_dir(call, made)) (void)!::fchmod(open_tree(made).get(), 0700);
    const TreeFault fault =
        litbuild::folder::copy_tree(call, open_tree(from), open_tree(to), open_tree(links), shown(from), told);
    const bool has_gone = fault.number == ESTALE && !fault.in_copy;
    if (!has_gone) raise(fault, from);
    remove_tree(call, links);
    return !has_gone;
}

bool PosixFs::same_tree(const Call &call, const Path &tree, const Path &copy, Compare what, const Told &told)
{
    bool same = false;
    raise(compare_trees(call, open_tree(tree), open_tree(copy), what, shown(tree), told, same), tree);
    return same;
}

}  // namespace litbuild::folder
