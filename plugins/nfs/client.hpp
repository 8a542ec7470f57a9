// NFS version 3, call by call, for one operation of the file system above it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nfs/refusal.hpp>
#include <nfs/server.hpp>

struct fattr3;
struct sattr3;

namespace litbuild::nfs {

enum class Type { file, folder, link, pipe, socket, block, character };

struct Attributes {
    Type type = Type::file;
    uint32_t mode = 0, links = 0, uid = 0, gid = 0;
    uint64_t size = 0, inode = 0, file_system = 0, device = 0;
    int64_t accessed_ns = 0, modified_ns = 0, changed_ns = 0;   ///< on the server's clock
};

/// A handle and what was last heard of it.
struct Node {
    std::string handle;
    Attributes is;
    bool is_folder() const noexcept { return is.type == Type::folder; }
};

struct Item {
    std::string name;
    Attributes is;
    std::string handle;   ///< may be empty: the server did not tell it
};

/// What is to be set; what is not there stays.
struct Changes {
    std::optional<uint32_t> mode = {}, uid = {}, gid = {};
    std::optional<uint64_t> size = {};
    std::optional<int64_t> accessed_ns = {}, modified_ns = {};
    bool modified_now = false;   ///< by the server's clock
};

enum class Stable { no, yes };

/// The functions throw Refusal for what the server refuses, but where an errno is returned (0: done), and Error where it does
/// not answer: Code::timeout, Code::cancelled.
/// A request that was not answered is sent again over another connection; one that must not be done twice only after a look
/// at what has the name, by identity, and what comes of it is told as if it was done once.
/// Threads: one at a time.
class Client {
public:
    Client(Server &server, const Call &call);
    ~Client();
    Client(const Client &) = delete;
    Client &operator=(const Client &) = delete;

    const Call &call() const noexcept { return call_; }
    /// Gives its connection to others; the next request takes one again.
    void rest() noexcept { server_.give_back(std::move(connection_)); }
    /// The handle of the URL's folder.
    std::string root();
    /// None: nothing of that name, or `folder` is none.
    std::optional<Node> lookup(const std::string &folder, std::string_view name);
    Attributes attributes(const std::string &handle);
    /// Whole, without "." and "..", read again from its beginning where it changed under the reading.
    std::vector<Item> list(const std::string &folder);
    /// At most one answer's worth. Empty at the end.
    std::string read(const std::string &file, uint64_t offset, uint32_t size);
    struct Small {
        bool is_told = false;                   ///< else it has to be asked for by itself
        std::optional<std::string> content{};   ///< none: there is no such file
    };
    /// The files of one name in many folders, up to `most` bytes each, all asked for at once. Never throws for what the server
    /// refuses, or does not answer soon.
    std::vector<Small> read_small(const std::vector<std::string> &folders, std::string_view name, uint32_t most);
    std::string read_link(const std::string &link);

    /// EEXIST: something of that name is there.
    int make_folder(const std::string &folder, std::string_view name, uint32_t mode);
    /// A file that was not there before. `name`: nobody else's choice (`unique`), or one that others may take, too.
    enum class Name { unique, shared };
    int make_file(const std::string &folder, std::string_view name, uint32_t mode, Name whose, Node &made);
    int make_link(const std::string &folder, std::string_view name, const std::string &target, uint32_t mode);
    /// A pipe, a socket or a device.
    int make_special(const std::string &folder, std::string_view name, Type type, uint64_t device, uint32_t mode);
    void write(const std::string &file, uint64_t offset, std::string_view content, Stable stable);
    int set(const std::string &handle, const Changes &changes);
    /// A further name of a file. EEXIST.
    int link(const Node &file, const std::string &folder, std::string_view name);
    /// Replaces a file or an empty folder of that name, as rename(2). `what`: what has the name `from`.
    int rename(const Node &what, const std::string &from_folder, std::string_view from, const std::string &to_folder,
               std::string_view to);
    /// `what`: what has the name. Sent by name; sent again, after an answer was lost, only while `what` still has it.
    int remove_file(const Node &what, const std::string &folder, std::string_view name);
    int remove_folder(const Node &what, const std::string &folder, std::string_view name);

private:
    // Whether a request may be sent again as it is.
    enum class Again { yes, no };
    bool ask(Again again, const Submit &submit, const Answer &answer);
    template <class Result, class Args, class Function, class Take>
    int request(Again again, Function function, Args &args, const Take &take);
    template <class Result, class Args, class Function>
    int change(Function function, Args &args);
    template <class Result, class Args, class Function>
    int remove(Function function, Args &args, const Node &what, const std::string &folder, std::string_view name);
    int ask_attributes(const std::string &handle, Attributes &out);
    bool is_at(const Node &what, const std::string &folder, std::string_view name);

    Call limits() const;

    Server &server_;
    const Call call_;
    std::unique_ptr<Connection> connection_;
};

}  // namespace litbuild::nfs
