// Locks in a folder of a mount.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include <litbuild/linux/descriptor.hpp>

#include <nfs/lease_folder.hpp>

namespace litbuild::nfs {

/// No call can be ended while the kernel waits for the server; renew() alone keeps to its call, and leaves the writing to a
/// thread of its own.
class MountedFolder final : public LeaseFolder {
public:
    /// `folder`: open for reading; it is not kept.
    explicit MountedFolder(int folder);

    const std::string &key() const noexcept override { return key_; }
    std::optional<File> look(const Call &call, const std::string &name) override;
    std::string read(const Call &call, const File &file, const std::string &name, uint32_t most) override;
    File make(const Call &call, const std::string &name, std::string_view text, std::string_view begin) override;
    bool has_name(const Call &call, const File &file, const std::string &name) override;
    void renew(const Call &call, const File &file, const std::string &name, std::string_view text) override;
    Linked link(const Call &call, const File &file, const std::string &name, const std::string &more) override;
    bool rename(const Call &call, const File &file, const std::string &from, const std::string &to) override;
    void remove(const Call &call, const File &file, const std::string &name) override;
    void discard(const Call &call, const File &file, const std::string &name) override;
    int64_t modified_ns(const Call &call) override;
    void set_modified_ns(const Call &call, int64_t time_ns) override;

private:
    // What threads share that may be out for longer than their maker lives.
    struct Shared {
        linux_::Descriptor folder;
        // A file that is removed while it is open here leaves a `.nfs*`.
        std::mutex opening;
        std::atomic<bool> is_renewing{false};
    };
    bool is_at(const File &file, const std::string &name);
    int folder() const noexcept { return shared_->folder.get(); }

    const std::shared_ptr<Shared> shared_;
    std::string key_;
};

}  // namespace litbuild::nfs
