// The file system behind the store, spoken to directly: NFS version 3 over TCP, through libnfs.
#pragma once

#include <folder-store/fs.hpp>

#include <nfs/client.hpp>
#include <nfs/leases.hpp>
#include <nfs/memory.hpp>
#include <nfs/nfs_trees.hpp>

namespace litbuild::nfs {

struct Options {
    Address address;
    /// Where builds see the URL's folder; empty: the folder as the server knows it.
    std::string path;
    Patience patience;
    /// How long a holder of a lock may be silent before it is taken away.
    std::chrono::milliseconds lease = default_lease;
    /// How old may be what is told of a file in a folder that was quiet before, and of the folders above. Zero: nothing is
    /// remembered.
    std::chrono::milliseconds fresh = std::chrono::seconds(2);
};

/// Nothing is connected before the first call, and what fails is tried again by the next one.
/// Paths are walked by handles, folder by folder: what is swapped for a link meanwhile leads nowhere.
/// What NFS does not have: extended attributes, holes (blocks of zeros are not written), notices.
/// Folders and files get the modes 0777 and 0666, as far as the umask of the process lets them.
class NfsFs final : public folder::Fs {
public:
    explicit NfsFs(const Options &options);

    uint64_t capabilities() const override { return LB_STORE_DURABLE | LB_STORE_SHARED; }
    std::chrono::milliseconds as_of() const override { return memory_.fresh(); }
    const std::string &root() const override { return root_; }

    bool read_dir(const Call &call, const folder::Path &dir, const folder::NameSink &each) override;
    folder::Info look(const Call &call, const folder::Path &path) override;
    folder::Read read(const Call &call, const folder::Path &path, uint64_t offset, uint64_t max, const TextSink &sink) override;
    bool make_dir(const Call &call, const folder::Path &path) override;
    void write_file(const Call &call, const folder::Path &path, std::string_view content,
                    folder::Durable durable) override;
    void replace_file(const Call &call, const folder::Path &path, std::string_view content,
                      folder::Durable durable) override;
    void edit_file(const Call &call, const folder::Path &path, folder::Durable durable,
                   const folder::Change &change) override;
    folder::Renamed rename(const Call &call, const folder::Path &from, const folder::Path &to) override;
    /// Does nothing: a server answers when names are on its disk.
    void sync_dir(const Call &call, const folder::Path &dir) override;
    bool remove_file(const Call &call, const folder::Path &path) override;
    void remove_tree(const Call &call, const folder::Path &path) override;
    std::unique_ptr<folder::Lock> lock(const Call &call, const folder::Path &path) override;
    folder::TreeSize measure(const Call &call, const folder::Path &tree) override;
    bool copy_tree(const Call &call, const folder::Path &from, const folder::Path &to,
                   const folder::Told &told) override;
    bool same_tree(const Call &call, const folder::Path &tree, const folder::Path &copy, folder::Compare what,
                   const folder::Told &told) override;

    /// Requests sent since it was made.
    uint64_t requests() const noexcept { return server_.requests(); }

private:
    template <class Body>
    auto at_server(const Call &call, const folder::Path &path, const char *action, Body body);
    std::optional<Node> walk(Client &client, const folder::Path &path);
    Node walk_folder(Client &client, const folder::Path &path);
    std::unique_ptr<HeldLease> hold(const Call &waiting, Client &client, const Node &folder, const folder::Path &path,
                                    HeldLease::Times times);
    bool read_known(const Call &call, const folder::Path &path, std::optional<std::string> &content);
    bool read_next(Client &client, const folder::Path &path, std::optional<std::string> &content);
    std::string content(Client &client, const Node &folder, const folder::Path &path) const;
    Node write(Client &client, const Node &folder, std::string_view name, std::string_view content,
               folder::Durable durable, Client::Name whose);
    void discard(const Call &call, const Node &file, const Node &folder, std::string_view name) noexcept;
    void replace(Client &client, const Node &folder, const folder::Path &path, std::string_view content,
                 folder::Durable durable, folder::Lock *held);
    bool is_still(Client &client, const Node &folder, const folder::Path &path);

    // What moves under a walk is walked again from the root.
    static constexpr int walks = 10;

    std::string root_;
    Server server_;
    Leases leases_;
    Memory memory_;
};

// `body` gets a client and may be called again where a handle was of something that is gone.
template <class Body>
auto NfsFs::at_server(const Call &call, const folder::Path &path, const char *action, Body body)
{
    for (int i = 1;; ++i) {
        try {
            Client client(server_, call);
            return body(client);
        } catch (const Refusal &refusal) {
            if (refusal.number != ESTALE || i == walks) throw failed(path, action, refusal.number);
        }
        memory_.forget_all();
        // The handle of the root may be the one.
        if (i > 1) server_.forget();
    }
}

}  // namespace litbuild::nfs
