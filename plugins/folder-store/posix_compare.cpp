#include <array>
#include <cerrno>
#include <map>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <folder-store/posix_attributes.hpp>
#include <folder-store/posix_content.hpp>
#include <folder-store/posix_copy.hpp>
#include <folder-store/tree_cursor.hpp>

namespace litbuild::folder {

using linux_::Descriptor;

namespace {

std::string link_target(int dir, const std::string &name)
{
    std::array<char, 4097> target{};
    const ssize_t size = ::readlinkat(dir, name.c_str(), target.data(), target.size());
    return size < 0 ? std::string() : std::string(target.data(), static_cast<size_t>(size));
}

// A file system may keep whole seconds, or less than nanoseconds.
bool is_copy_of(const timespec &time, const timespec &copy) noexcept
{
    if (time.tv_sec != copy.tv_sec) return false;
    for (const long unit : {1L, 100L, 1'000L, 1'000'000L, 1'000'000'000L})
        if (copy.tv_nsec == time.tv_nsec / unit * unit) return true;
    return false;
}

class Comparison {
public:
    Comparison(const Call &call, Descriptor a, Descriptor b, Compare what, const std::string &object, const Told &told)
        : call_(call), object_(object), told_(told), what_(what), a_(std::move(a)), b_(std::move(b))
    {
    }

    TreeFault run(bool &same)
    {
        same = whole();
        return fault_;
    }

private:
    using Identity = std::pair<dev_t, ino_t>;

    // False: a difference, or a fault.
    bool whole()
    {
        if (a_.error() != 0) return failed(a_.error(), "");
        if (b_.error() != 0) return failed(b_.error(), "");
        if (!begin()) return false;
        for (;;) {
            call_.check(object_);
            if (left_.back().empty()) {
                left_.pop_back();
                if (left_.empty()) return true;
                if (const int error = a_.leave(); error != 0) return failed(error, "");
                if (const int error = b_.leave(); error != 0) return failed(error, "");
                continue;
            }
            const std::string name = std::move(left_.back().back());
            left_.back().pop_back();
            if (!item(name)) return false;
        }
    }

    bool failed(int number, const std::string &name)
    {
        fault_.number = number;
        fault_.where = a_.where();
        if (!fault_.where.empty() && !name.empty()) fault_.where += '/';
        fault_.where += name;
        fault_.action = "compare it";
        return false;
    }
    // What has gone meanwhile is a difference; all else that fails is a fault.
    bool different(int number, const std::string &name)
    {
        return number != ENOENT && number != ENOTDIR && number != ELOOP && failed(number, name);
    }

    bool begin()
    {
        std::vector<std::string> of_a, of_b;
        if (const int error = sorted_names(a_, of_a); error != 0) return failed(error, "");
        if (const int error = sorted_names(b_, of_b); error != 0) return failed(error, "");
        if (of_a != of_b || !same_attributes(a_.dir(), b_.dir())) return false;
        left_.push_back(std::move(of_a));
        return true;
    }

    bool same_attributes(int a, int b)
    {
        struct stat of_a, of_b;
        if (::fstat(a, &of_a) != 0 || ::fstat(b, &of_b) != 0) return failed(errno, "");
        if (!same_stat(of_a, of_b)) return false;
        Attributes more_of_a, more_of_b;
        if (const int error = read_attributes(a, more_of_a); error != 0) return failed(error, "");
        if (const int error = read_attributes(b, more_of_b); error != 0) return failed(error, "");
        const auto kept = [&](const auto &item) {
            return !must_be_kept(item.first) ||
                   (of_a.st_gid != of_b.st_gid && item.first == "system.posix_acl_access");
        };
        std::erase_if(more_of_a, kept);
        std::erase_if(more_of_b, kept);
        return more_of_a == more_of_b;
    }

    static bool same_stat(const struct stat &a, const struct stat &b) noexcept
    {
        if ((a.st_mode & S_IFMT) != (b.st_mode & S_IFMT)) return false;
        // What a link is, is where it leads. Some file servers keep no time that it is given.
        if (S_ISLNK(a.st_mode)) return true;
        if (!is_copy_of(a.st_mtim, b.st_mtim)) return false;
        if (S_ISREG(a.st_mode) && a.st_size != b.st_size) return false;
        if ((S_ISCHR(a.st_mode) || S_ISBLK(a.st_mode)) && a.st_rdev != b.st_rdev) return false;
        // An access list that could not be kept, for it is of another group, had a say in the mode.
        return (b.st_mode & 07777) == mode_of_copy(a, b);
    }

    bool item(const std::string &name)
    {
        struct stat of_a, of_b;
        if (::fstatat(a_.dir(), name.c_str(), &of_a, AT_SYMLINK_NOFOLLOW) != 0 ||
            ::fstatat(b_.dir(), name.c_str(), &of_b, AT_SYMLINK_NOFOLLOW) != 0)
            return different(errno, name);
        if (!same_stat(of_a, of_b) || !same_links(of_a, of_b)) return false;
        if (S_ISLNK(of_a.st_mode)) return link_target(a_.dir(), name) == link_target(b_.dir(), name);
        if (S_ISREG(of_a.st_mode)) return file(name, of_a);
        if (!S_ISDIR(of_a.st_mode)) return true;
        if (const int error = a_.enter(name); error != 0) return different(error, name);
        if (const int error = b_.enter(name); error != 0) return different(error, "");
        return begin();
    }

    // Names of one file on one side are names of one file on the other.
    bool same_links(const struct stat &a, const struct stat &b)
    {
        if (S_ISDIR(a.st_mode) || (a.st_nlink == 1 && b.st_nlink == 1)) return true;
        const Identity of_a{a.st_dev, a.st_ino}, of_b{b.st_dev, b.st_ino};
        return to_b_.try_emplace(of_a, of_b).first->second == of_b &&
               to_a_.try_emplace(of_b, of_a).first->second == of_a;
    }

    bool file(const std::string &name, const struct stat &listed)
    {
        constexpr int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
        const auto open_one = [&](int dir) {
            Descriptor fd(::openat(dir, name.c_str(), flags | O_NOATIME));
            if (!fd && errno == EPERM) fd.reset(::openat(dir, name.c_str(), flags));
            return fd;
        };
        const Descriptor a = open_one(a_.dir());
        if (!a) return different(errno, name);
        const Descriptor b = open_one(b_.dir());
        if (!b) return different(errno, name);
        if (!same_attributes(a.get(), b.get())) return false;
        struct stat found;
        if (::fstat(a.get(), &found) != 0 || !S_ISREG(found.st_mode) || found.st_ino != listed.st_ino) return false;
        if (what_ == Compare::attributes) return true;
        bool same = false;
        const int error =
            compare_content(call_, a.get(), b.get(), static_cast<uint64_t>(found.st_size), object_, told_, same);
        return error == 0 ? same : failed(error, name);
    }

    const Call &call_;
    const std::string &object_;
    const Told &told_;
    const Compare what_;
    TreeCursor a_, b_;
    std::vector<std::vector<std::string>> left_;
    std::map<Identity, Identity> to_a_, to_b_;
    TreeFault fault_;
};

}  // namespace

TreeFault compare_trees(const Call &call, Descriptor a, Descriptor b, Compare what, const std::string &object,
                        const Told &told, bool &same)
{
    return Comparison(call, std::move(a), std::move(b), what, object, told).run(same);
}

}  // namespace litbuild::folder
