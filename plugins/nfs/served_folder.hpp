// Locks in a folder of a server that is spoken to directly.
#pragma once

#include <nfs/client.hpp>
#include <nfs/lease_folder.hpp>

namespace litbuild::nfs {

/// The server is its maker's, and outlives it.
class ServedFolder final : public LeaseFolder {
public:
    ServedFolder(Server &server, std::string handle) : server_(server), handle_(std::move(handle)) {}

    const std::string &key() const noexcept override { return handle_; }
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
    Server &server_;
    const std::string handle_;
};

}  // namespace litbuild::nfs
