// A control group of version 2 as a container of processes: who is in it, whether anybody is, and the one write that ends
// them all (kernel 5.14 and newer). Needs no controller, so it works beside version 1 ("hybrid") too.
// For authors of process controllers, and for the runner. A group is used for one launch and never again: since kernel
// 6.14 a process that is created in a group that was once killed is killed at birth.
#pragma once

#include <sys/stat.h>

#include <litbuild/linux/proc.hpp>

namespace litbuild::linux_ {

class Cgroup {
public:
    Cgroup() = default;
    /// Makes the group; it must be new. errno tells why an empty one came back.
    static Cgroup make(const std::string &path)
    {
        if (::mkdir(path.c_str(), 0755) != 0) return Cgroup();
        return open(path);
    }
    static Cgroup open(const std::string &path)
    {
        Cgroup group;
        group.path_ = path;
        group.folder_ = Descriptor(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
        return group;
    }

    explicit operator bool() const noexcept { return static_cast<bool>(folder_); }
    const std::string &path() const noexcept { return path_; }
    /// Identity: a group that is made again under the same path has another.
    uint64_t inode() const noexcept
    {
        struct stat info{};
        return folder_ && ::fstat(folder_.get(), &info) == 0 ? info.st_ino : 0;
    }

    bool can_kill() const noexcept { return folder_ && ::faccessat(folder_.get(), "cgroup.kill", W_OK, 0) == 0; }
    /// Zombies do not count.
    bool populated() const
    {
        const std::string text = folder_ ? slurp("cgroup.events", folder_.get()).value_or("") : "";
        return text.find("populated 1") != std::string::npos;
    }
    bool write(const char *file, std::string_view text) const noexcept
    {
        const Descriptor out(::openat(folder_.get(), file, O_WRONLY | O_CLOEXEC));
        return out && ::write(out.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
    }
    /// One write is not the end of it: before kernel 6.14 a fork that is under way can slip through. Repeat while populated.
    bool kill() const noexcept { return write("cgroup.kill", "1"); }

    /// Every process of the group and of the groups below it, down to the 64th level.
    std::vector<pid_t> members() const
    {
        std::vector<pid_t> out;
        if (folder_) collect(folder_.get(), out, 0);
        return out;
    }
    /// Removes the group and those below it, which must be empty of living processes. However deep they are: it goes down
    /// to a leaf, removes that, and begins again. What has just ended may keep it busy for a moment, which is waited for.
    bool remove() noexcept
    {
        if (!folder_) return true;
        for (int patience_ms = 200; ::rmdir(path_.c_str()) != 0;) {
            if (errno == ENOENT) break;
            if (errno != EBUSY) return false;
            if (remove_a_leaf()) continue;
            if (populated() || patience_ms-- == 0) return false;
            ::poll(nullptr, 0, 1);
        }
        folder_.reset();
        return true;
    }

private:
    static constexpr int deepest = 64;

    static void collect(int folder, std::vector<pid_t> &out, int depth)
    {
        const std::string text = slurp("cgroup.procs", folder).value_or("");
        const char *at = text.data();
        const char *const end = at + text.size();
        while (at < end) {
            pid_t pid = 0;
            const auto [next, error] = std::from_chars(at, end, pid);
            if (error == std::errc{} && pid > 0) out.push_back(pid);
            at = next + 1;
        }
        if (depth >= deepest) return;
        each_below(folder, [&](const char *name) {
            const Descriptor below(::openat(folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
            if (below) collect(below.get(), out, depth + 1);
        });
    }

    bool remove_a_leaf() const noexcept
    {
        Descriptor parent(::openat(folder_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        std::string name = first_below(parent.get());
        if (name.empty()) return false;
        for (;;) {
            Descriptor below(::openat(parent.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
            const std::string next = below ? first_below(below.get()) : "";
            if (next.empty()) return ::unlinkat(parent.get(), name.c_str(), AT_REMOVEDIR) == 0;
            parent = std::move(below);
            name = next;
        }
    }

    static std::string first_below(int folder)
    {
        std::string out;
        each_below(folder, [&](const char *name) {
            if (out.empty()) out = name;
        });
        return out;
    }

    template <class Each>
    static void each_below(int folder, Each each)
    {
        DIR *dir = ::fdopendir(::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (!dir) return;
        while (const dirent *entry = ::readdir(dir))
            if (entry->d_type == DT_DIR && entry->d_name[0] != '.') each(entry->d_name);
        ::closedir(dir);
    }

    std::string path_;
    Descriptor folder_;
};

}  // namespace litbuild::linux_
