// The kernel's file system below one folder.
#pragma once

#include <optional>

#include <litbuild/linux/descriptor.hpp>

#include <folder-store/fs.hpp>
#include <folder-store/posix_copy.hpp>
#include <folder-store/posix_root.hpp>

namespace litbuild::folder {

/// Folders and files get the modes 0777 and 0666, as far as the umask of the process lets them.
/// Locks are open-file-description locks on a file `.NAME.lock` beside the file, which stays; a derived one may have others.
class PosixFs : public Fs {
public:
    /// `root` is made absolute once. Code::not_found: no such folder. Code::invalid: it is not a folder.
    explicit PosixFs(const std::string &root, Resolve resolve = Resolve::automatic);

    uint64_t capabilities() const override { return LB_STORE_DURABLE | LB_STORE_LOCAL_PATH; }
    const std::string &root() const override { return path_; }
    std::chrono::milliseconds as_of() const override
    {
        return root_.is_nfs() ? PosixRoot::remembered : std::chrono::milliseconds(0);
    }

    bool read_dir(const Call &call, const Path &dir, const NameSink &each) override;
    Info look(const Call &call, const Path &path) override;
    Read read(const Call &call, const Path &path, uint64_t offset, uint64_t max, const TextSink &sink) override;
    bool make_dir(const Call &call, const Path &path) override;
    bool make_dir_alike(const Call &call, const Path &path) override;
    void write_file(const Call &call, const Path &path, std::string_view content, Durable durable) override;
    void replace_file(const Call &call, const Path &path, std::string_view content, Durable durable) override;
    void edit_file(const Call &call, const Path &path, Durable durable, const Change &change) override;
    Renamed rename(const Call &call, const Path &from, const Path &to) override;
    void sync_dir(const Call &call, const Path &dir) override;
    bool remove_file(const Call &call, const Path &path) override;
    void remove_tree(const Call &call, const Path &path) override;
    std::unique_ptr<Lock> lock(const Call &call, const Path &path) override;
    TreeSize measure(const Call &call, const Path &tree) override;
    bool copy_tree(const Call &call, const Path &from, const Path &to, const Told &told) override;
    bool same_tree(const Call &call, const Path &tree, const Path &copy, Compare what, const Told &told) override;
    std::unique_ptr<Notices> notices() override;

protected:
    enum class Times { change, keep };   ///< of the folder that the lock lies in
    /// The lock that goes with a path, whose folder is open as `dir`; what lock() and edit_file() hold.
    virtual std::unique_ptr<Lock> hold(const Call &call, int dir, const Path &path, Times times) const;

private:
    linux_::Descriptor parent_of(const Path &path, const char *action) const;
    int read_once(const Call &call, const Path &path, uint64_t offset, uint64_t max, const TextSink &sink, Read &result) const;
    linux_::Descriptor open_tree(const Path &path) const;
    linux_::Descriptor lock(const Call &call, int dir, const Path &path, Times times) const;
    bool is_still(int dir, const Path &path) const;
    std::optional<std::string> content(const Call &call, int dir, const Path &path) const;
    uint64_t write(int dir, const char *name, const Path &path, std::string_view content, Durable durable) const;
    uint64_t write_held(const Call &call, Lock *held, int dir, const std::string &temporary, const Path &path,
                        std::string_view content, Durable durable) const;
    // `held`: what must not have been taken away when it gets its name; null: nothing.
    void replace(const Call &call, int dir, const Path &path, std::string_view content, Durable durable, Lock *held) const;
    void publish(const Call &call, int dir, const Path &path, std::string_view content, Durable durable, Lock *held) const;

    std::string path_;
    PosixRoot root_;
};

}  // namespace litbuild::folder
