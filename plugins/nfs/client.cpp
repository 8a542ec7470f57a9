#include <nfs/client.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <sys/random.h>

#include <nfsc/libnfs.h>
#include <nfsc/libnfs-raw-nfs.h>
#include <nfsc/libnfs-raw.h>

#include <folder-store/pause.hpp>

namespace litbuild::nfs {

using std::chrono::milliseconds;

namespace {

constexpr int64_t second_ns = 1'000'000'000;
constexpr uint32_t listing_size = 512 * 1024;
// So often a folder is asked again that changed under the reader.
constexpr int most_tries = 20;
milliseconds pause_of(int tries) noexcept { return std::min(milliseconds(1 << std::min(tries, 10)), milliseconds(100)); }
constexpr int unanswered = -1;

int errno_of(int status) noexcept
{
    switch (status) {
    case NFS3_OK: return 0;
    case NFS3ERR_NOTEMPTY: return ENOTEMPTY;
    case NFS3ERR_NAMETOOLONG: return ENAMETOOLONG;
    case NFS3ERR_DQUOT: return EDQUOT;
    case NFS3ERR_STALE:
    case NFS3ERR_BADHANDLE: return ESTALE;
    case NFS3ERR_REMOTE: return EREMOTE;
    case NFS3ERR_NOTSUPP:
    case NFS3ERR_BADTYPE: return EOPNOTSUPP;
    case NFS3ERR_SERVERFAULT: return EIO;
    case NFS3ERR_JUKEBOX: return EAGAIN;
    // The others have the numbers of Linux.
    default: return status < 10000 ? status : EIO;
    }
}

nfs_fh3 handle_of(const std::string &handle) noexcept
{
    nfs_fh3 out;
    out.data.data_len = static_cast<u_int>(handle.size());
    out.data.data_val = const_cast<char *>(handle.data());
    return out;
}

std::string handle_of(const nfs_fh3 &handle) { return {handle.data.data_val, handle.data.data_len}; }

int64_t ns(const nfstime3 &time) noexcept { return static_cast<int64_t>(time.seconds) * second_ns + time.nseconds; }

nfstime3 time_of(int64_t time_ns) noexcept
{
    return {static_cast<u_int>(time_ns / second_ns), static_cast<u_int>(time_ns % second_ns)};
}

Attributes attributes_of(const fattr3 &from) noexcept
{
    constexpr Type types[] = {Type::file,  Type::file, Type::folder, Type::block,
                              Type::character, Type::link, Type::socket, Type::pipe};
    Attributes out;
    out.type = from.type >= NF3REG && from.type <= NF3FIFO ? types[from.type] : Type::socket;
    out.mode = from.mode & 07777;
    out.links = from.nlink;
    out.uid = from.uid;
    out.gid = from.gid;
    out.size = from.size;
    out.inode = from.fileid;
    out.file_system = from.fsid;
    out.device = static_cast<uint64_t>(from.rdev.specdata1) << 32 | from.rdev.specdata2;
    out.accessed_ns = ns(from.atime);
    out.modified_ns = ns(from.mtime);
    out.changed_ns = ns(from.ctime);
    return out;
}

sattr3 sattr_of(const Changes &changes) noexcept
{
    sattr3 out{};
    if (changes.mode) out.mode.set_it = 1, out.mode.set_mode3_u.mode = *changes.mode;
    if (changes.uid) out.uid.set_it = 1, out.uid.set_uid3_u.uid = *changes.uid;
    if (changes.gid) out.gid.set_it = 1, out.gid.set_gid3_u.gid = *changes.gid;
    if (changes.size) out.size.set_it = 1, out.size.set_size3_u.size = *changes.size;
    if (changes.accessed_ns)
        out.atime.set_it = SET_TO_CLIENT_TIME, out.atime.set_atime_u.atime = time_of(*changes.accessed_ns);
    if (changes.modified_ns)
        out.mtime.set_it = SET_TO_CLIENT_TIME, out.mtime.set_mtime_u.mtime = time_of(*changes.modified_ns);
    else if (changes.modified_now) out.mtime.set_it = SET_TO_SERVER_TIME;
    return out;
}

// A name with its zero, which libnfs wants to be able to write to.
class Where {
public:
    Where(const std::string &folder, std::string_view name) : folder_(folder), name_(name) {}
    diropargs3 args() noexcept { return {handle_of(folder_), name_.data()}; }

private:
    const std::string &folder_;
    std::string name_;
};

// Of what is made: nobody else sets such a time of access.
int64_t unique_time()
{
    uint32_t bits = 0;
    if (::getrandom(&bits, sizeof bits, 0) != static_cast<ssize_t>(sizeof bits))
        throw os_error("random numbers", "get them", errno);
    return now() / second_ns * second_ns + bits % second_ns;
}

}  // namespace

Client::Client(Server &server, const Call &call) : server_(server), call_(call) {}

Client::~Client() { server_.give_back(std::move(connection_)); }

// Of one request.
Call Client::limits() const { return call_.has_deadline() ? call_ : call_.at_most(server_.patience_now()); }

// True: the answer was taken. False: there is none, and it may have been done all the same (never with Again::yes).
bool Client::ask(Again again, const Submit &submit, const Answer &answer)
{
    const Call call = limits();
    std::string why;
    milliseconds wait(20), patience = server_.patience().resend;
    for (;;) {
        if (call.cancelled()) throw server_.silent(call, Outcome::cancelled, why);
        if (call.expired()) throw server_.silent(call, Outcome::timeout, why);
        if (!connection_) connection_ = server_.take(call);
        server_.asked();
        Outcome outcome = connection_->ask_once(call.at_most(patience), submit, answer);
        if (outcome == Outcome::timeout && !call.expired()) {
            // The answer may be lost, or the server be slow, or away: only in the first case it helps to ask again, and in
            // the last each request that it finds when it is back is done once more.
            std::unique_ptr<Connection> other;
            for (; outcome == Outcome::timeout && !other && !call.expired(); patience *= 2) {
                other = server_.probe(call.at_most(patience));
                outcome = connection_->wait(call.at_most(other ? milliseconds(100) : patience));
            }
            if (outcome == Outcome::timeout && other) {
                connection_ = std::move(other);
                if (again == Again::no) return false;
                continue;
            }
        }
        if (outcome == Outcome::answered) {
            server_.answered();
            return true;
        }
        if (!connection_->why().empty()) why = connection_->why();
        connection_.reset();
        if (outcome != Outcome::broken) throw server_.silent(call, outcome, why);
        folder::pause(call, wait);
        if (again == Again::no) return false;
        wait = std::min(wait * 2, milliseconds(500));
    }
}

// An errno, or `unanswered`.
template <class Result, class Args, class Function, class Take>
int Client::request(Again again, Function function, Args &args, const Take &take)
{
    const Call call = limits();
    for (milliseconds wait(50);; wait = std::min(wait * 2, milliseconds(2000))) {
        int status = NFS3_OK;
        if (!ask(again, [&](rpc_context *rpc, auto *answered, void *self) { return function(rpc, answered, &args, self); },
                 [&](void *data) {
                     auto &result = *static_cast<Result *>(data);
                     status = result.status;
                     if (status == NFS3_OK) take(result);
                 }))
            return unanswered;
        if (status != NFS3ERR_JUKEBOX) return errno_of(status);
        // "Not now": from tape, or under recovery.
        folder::pause(call, wait);
        const std::string object = server_.address().text();
        if (call.cancelled()) throw Error(Code::cancelled, object + ": cancelled", ECANCELED);
        if (call.expired()) throw Error(Code::timeout, object + ": said that it could not do it yet, until the deadline");
    }
}

template <class Result, class Args, class Function>
int Client::change(Function function, Args &args)
{
    return request<Result>(Again::no, function, args, [](const Result &) {});
}

std::string Client::root()
{
    if (!connection_) connection_ = server_.take(limits());
    return connection_->root();
}

int Client::ask_attributes(const std::string &handle, Attributes &out)
{
    GETATTR3args args{handle_of(handle)};
    return request<GETATTR3res>(Again::yes, &::rpc_nfs3_getattr_async, args,
        [&](const GETATTR3res &result) { out = attributes_of(result.GETATTR3res_u.resok.obj_attributes); });
}

Attributes Client::attributes(const std::string &handle)
{
    Attributes out;
    if (const int number = ask_attributes(handle, out); number != 0) throw Refusal{number};
    return out;
}

std::optional<Node> Client::lookup(const std::string &folder, std::string_view name)
{
    Where where(folder, name);
    LOOKUP3args args{where.args()};
    for (int tries = 1;; ++tries) {
        Node out;
        bool with_attributes = false;
        int number = request<LOOKUP3res>(Again::yes, &::rpc_nfs3_lookup_async, args, [&](const LOOKUP3res &result) {
            const LOOKUP3resok &found = result.LOOKUP3res_u.resok;
            out.handle = handle_of(found.object);
            with_attributes = found.obj_attributes.attributes_follow != 0;
            if (with_attributes) out.is = attributes_of(found.obj_attributes.post_op_attr_u.attributes);
        });
        if (number == ENOENT || number == ENOTDIR) return std::nullopt;
        if (number == 0 && !with_attributes) number = ask_attributes(out.handle, out.is);
        if (number == 0) return out;
        // Something else has taken its place meanwhile; if it is the folder that is gone, the folder tells.
        if (number != ESTALE || tries == most_tries) throw Refusal{number};
        (void)attributes(folder);
        folder::pause(limits(), pause_of(tries));
    }
}

std::vector<Item> Client::list(const std::string &folder)
{
    std::vector<Item> items;
    std::vector<size_t> bare;   // those that came without attributes
    READDIRPLUS3args args{};
    args.dir = handle_of(folder);
    args.dircount = args.maxcount = listing_size;
    bool is_last = false;
    for (int restarts = 0; !is_last;) {
        const auto take = [&](READDIRPLUS3res &result) {
            const READDIRPLUS3resok &found = result.READDIRPLUS3res_u.resok;
            std::memcpy(args.cookieverf, found.cookieverf, sizeof args.cookieverf);
            // libnfs 4.0 aligns what it decodes to 4 bytes only; so each is copied before it is looked at.
            entryplus3 entry;
            for (const void *at = found.reply.entries; at; at = entry.nextentry) {
                std::memcpy(&entry, at, sizeof entry);
                args.cookie = entry.cookie;
                const std::string_view name = entry.name;
                if (name == "." || name == ".." || name.empty()) continue;
                const post_op_attr &with = entry.name_attributes;
                if (!with.attributes_follow) bare.push_back(items.size());
                items.push_back({std::string(name),
                                 with.attributes_follow ? attributes_of(with.post_op_attr_u.attributes) : Attributes{},
                                 entry.name_handle.handle_follows ? handle_of(entry.name_handle.post_op_fh3_u.handle)
                                                                  : std::string()});
            }
            is_last = found.reply.eof || !found.reply.entries;
        };
        const int number = request<READDIRPLUS3res>(Again::yes, &::rpc_nfs3_readdirplus_async, args, take);
        if (number == 0) continue;
        // The place where the reading stood is gone; or an entry went while the server read it: nfs-ganesha answers with what it
        // met at the entry. Whether it is the folder that is gone, the folder tells.
        if (number == ESTALE) (void)attributes(folder);
        const bool again = number == ENOENT || number == ESTALE || (args.cookie != 0 && (number == EIO || number == EINVAL));
        if (!again || ++restarts == most_tries) throw Refusal{number};
        folder::pause(limits(), pause_of(restarts));
        args.cookie = 0;
        std::memset(args.cookieverf, 0, sizeof args.cookieverf);
        items.clear();
        bare.clear();
    }
    std::vector<Item> out;
    size_t next_bare = 0;
    out.reserve(items.size());
    for (size_t i = 0; i < items.size(); ++i) {
        if (next_bare < bare.size() && bare[next_bare] == i) {
            ++next_bare;
            const std::optional<Node> node = lookup(folder, items[i].name);
            if (!node) continue;
            items[i].is = node->is;
            items[i].handle = node->handle;
        }
        out.push_back(std::move(items[i]));
    }
    return out;
}

std::string Client::read(const std::string &file, uint64_t offset, uint32_t size)
{
    READ3args args{handle_of(file), offset, size};
    std::string out;
    const int number = request<READ3res>(Again::yes, &::rpc_nfs3_read_async, args, [&](const READ3res &result) {
        const READ3resok &found = result.READ3res_u.resok;
        out.assign(found.data.data_val, found.data.data_len);
    });
    if (number != 0) throw Refusal{number};
    return out;
}

std::vector<Client::Small> Client::read_small(const std::vector<std::string> &folders, std::string_view name, uint32_t most)
{
    const Call call = limits().at_most(server_.patience().resend);
    std::vector<Small> out(folders.size());
    std::vector<std::pair<size_t, Node>> files;
    std::vector<Where> names;
    std::vector<LOOKUP3args> lookups;
    std::vector<READ3args> reads;
    std::vector<Submit> submits;
    const auto ask_all = [&](const std::function<void(size_t, void *)> &answer) {
        if (!connection_) connection_ = server_.take(limits());
        for (size_t i = 0; i < submits.size(); ++i) server_.asked();
        const Outcome outcome = connection_->ask_all(call, submits, answer);
        if (outcome == Outcome::answered) server_.answered();
        else connection_.reset();
        submits.clear();
        return outcome == Outcome::answered;
    };
    names.reserve(folders.size());
    lookups.reserve(folders.size());
    for (const std::string &folder : folders) {
        names.emplace_back(folder, name);
        lookups.push_back({names.back().args()});
        submits.push_back([args = &lookups.back()](rpc_context *rpc, auto *answered, void *self) {
            return ::rpc_nfs3_lookup_async(rpc, answered, args, self);
        });
    }
    const bool is_looked_up = ask_all([&](size_t i, void *data) {
        const auto &result = *static_cast<LOOKUP3res *>(data);
        if (result.status == NFS3ERR_NOENT) out[i].is_told = true;
        if (result.status != NFS3_OK) return;
        const LOOKUP3resok &found = result.LOOKUP3res_u.resok;
        if (!found.obj_attributes.attributes_follow) return;
        Node file{handle_of(found.object), attributes_of(found.obj_attributes.post_op_attr_u.attributes)};
        if (file.is.type != Type::file || file.is.size > most) return;
        files.emplace_back(i, std::move(file));
    });
    if (!is_looked_up) return out;
    reads.reserve(files.size());
    for (const auto &[i, file] : files) {
        reads.push_back({handle_of(file.handle), 0, most});
        submits.push_back([args = &reads.back()](rpc_context *rpc, auto *answered, void *self) {
            return ::rpc_nfs3_read_async(rpc, answered, args, self);
        });
    }
    (void)ask_all([&](size_t number, void *data) {
        const auto &result = *static_cast<READ3res *>(data);
        const auto &[i, file] = files[number];
        if (result.status != NFS3_OK || result.READ3res_u.resok.data.data_len != file.is.size) return;
        out[i] = {true, std::string(result.READ3res_u.resok.data.data_val, result.READ3res_u.resok.data.data_len)};
    });
    return out;
}

std::string Client::read_link(const std::string &link)
{
    READLINK3args args{handle_of(link)};
    std::string out;
    const int number = request<READLINK3res>(Again::yes, &::rpc_nfs3_readlink_async, args, [&](const READLINK3res &result) {
        out = result.READLINK3res_u.resok.data;
    });
    if (number != 0) throw Refusal{number};
    return out;
}

bool Client::is_at(const Node &what, const std::string &folder, std::string_view name)
{
    const std::optional<Node> found = lookup(folder, name);
    return found && found->is.inode == what.is.inode && found->is.type == what.is.type;
}

int Client::make_folder(const std::string &folder, std::string_view name, uint32_t mode)
{
    // Not every server keeps nanoseconds.
    const int64_t mark = unique_time() / 1000 * 1000;
    Where where(folder, name);
    MKDIR3args args{where.args(), sattr_of({.mode = mode, .accessed_ns = mark})};
    for (;;) {
        const int number = change<MKDIR3res>(&::rpc_nfs3_mkdir_async, args);
        if (number != EEXIST && number != unanswered) return number;
        const std::optional<Node> found = lookup(folder, name);
        if (found) return found->is_folder() && found->is.accessed_ns == mark ? 0 : EEXIST;
        if (number == EEXIST) return EEXIST;
    }
}

int Client::make_file(const std::string &folder, std::string_view name, uint32_t mode, Name whose, Node &made)
{
    const bool is_unique = whose == Name::unique;
    Where where(folder, name);
    CREATE3args args{};
    args.where = where.args();
    if (is_unique) {
        args.how.mode = GUARDED;
        args.how.createhow3_u.g_obj_attributes = sattr_of({.mode = mode});
    } else {
        // The server knows its own by the verifier.
        const int64_t verifier = unique_time();
        args.how.mode = EXCLUSIVE;
        std::memcpy(args.how.createhow3_u.verf, &verifier, sizeof args.how.createhow3_u.verf);
    }
    for (;;) {
        bool with_all = false;
        const int number = request<CREATE3res>(
            is_unique ? Again::no : Again::yes, &::rpc_nfs3_create_async, args, [&](const CREATE3res &result) {
                const CREATE3resok &found = result.CREATE3res_u.resok;
                with_all = found.obj.handle_follows && found.obj_attributes.attributes_follow;
                if (!with_all) return;
                made.handle = handle_of(found.obj.post_op_fh3_u.handle);
                made.is = attributes_of(found.obj_attributes.post_op_attr_u.attributes);
            });
        // Nobody else takes a unique name.
        const bool may_be_mine = number == unanswered || (number == EEXIST && is_unique);
        if (number != 0 && !may_be_mine) return number;
        if (!with_all) {
            const std::optional<Node> found = lookup(folder, name);
            if (!found && number == 0) return ENOENT;
            if (!found) continue;
            made = *found;
        }
        return is_unique ? 0 : set(made.handle, {.mode = mode, .modified_now = true});
    }
}

int Client::make_link(const std::string &folder, std::string_view name, const std::string &target, uint32_t mode)
{
    Where where(folder, name);
    std::string path = target;
    SYMLINK3args args{where.args(), {sattr_of({.mode = mode}), path.data()}};
    for (;;) {
        const int number = change<SYMLINK3res>(&::rpc_nfs3_symlink_async, args);
        if (number != EEXIST && number != unanswered) return number;
        const std::optional<Node> found = lookup(folder, name);
        if (found) return found->is.type == Type::link && read_link(found->handle) == target ? 0 : EEXIST;
        if (number == EEXIST) return EEXIST;
    }
}

int Client::make_special(const std::string &folder, std::string_view name, Type type, uint64_t device, uint32_t mode)
{
    Where where(folder, name);
    MKNOD3args args{};
    args.where = where.args();
    const sattr3 attributes = sattr_of({.mode = mode});
    const specdata3 numbers{static_cast<u_int>(device >> 32), static_cast<u_int>(device)};
    switch (type) {
    case Type::block: args.what.type = NF3BLK, args.what.mknoddata3_u.blk_device = {attributes, numbers}; break;
    case Type::character: args.what.type = NF3CHR, args.what.mknoddata3_u.chr_device = {attributes, numbers}; break;
    case Type::socket: args.what.type = NF3SOCK, args.what.mknoddata3_u.sock_attributes = attributes; break;
    default: args.what.type = NF3FIFO, args.what.mknoddata3_u.pipe_attributes = attributes; break;
    }
    for (;;) {
        const int number = change<MKNOD3res>(&::rpc_nfs3_mknod_async, args);
        if (number != EEXIST && number != unanswered) return number;
        const std::optional<Node> found = lookup(folder, name);
        if (found) return found->is.type == type && found->is.device == device ? 0 : EEXIST;
        if (number == EEXIST) return EEXIST;
    }
}

void Client::write(const std::string &file, uint64_t offset, std::string_view content, Stable stable)
{
    constexpr size_t most = 1024 * 1024;
    while (!content.empty()) {
        WRITE3args args{};
        args.file = handle_of(file);
        args.offset = offset;
        args.count = static_cast<count3>(std::min(content.size(), most));
        args.stable = stable == Stable::yes ? FILE_SYNC : UNSTABLE;
        args.data.data_len = args.count;
        args.data.data_val = const_cast<char *>(content.data());
        uint32_t put = 0;
        const int number = request<WRITE3res>(Again::yes, &::rpc_nfs3_write_async, args, [&](const WRITE3res &result) {
            put = result.WRITE3res_u.resok.count;
        });
        if (number != 0) throw Refusal{number};
        if (put == 0 || put > args.count) throw Refusal{EIO};
        offset += put;
        content.remove_prefix(put);
    }
}

int Client::set(const std::string &handle, const Changes &changes)
{
    SETATTR3args args{};
    args.object = handle_of(handle);
    args.new_attributes = sattr_of(changes);
    return request<SETATTR3res>(Again::yes, &::rpc_nfs3_setattr_async, args, [](const SETATTR3res &) {});
}

int Client::link(const Node &file, const std::string &folder, std::string_view name)
{
    Where where(folder, name);
    LINK3args args{handle_of(file.handle), where.args()};
    for (;;) {
        const int number = change<LINK3res>(&::rpc_nfs3_link_async, args);
        if (number != EEXIST && number != unanswered) return number;
        if (is_at(file, folder, name)) return 0;
        if (number == EEXIST) return EEXIST;
    }
}

int Client::rename(const Node &what, const std::string &from_folder, std::string_view from, const std::string &to_folder,
                   std::string_view to)
{
    Where source(from_folder, from), target(to_folder, to);
    RENAME3args args{source.args(), target.args()};
    for (;;) {
        const int number = change<RENAME3res>(&::rpc_nfs3_rename_async, args);
        if (number != ENOENT && number != unanswered) return number;
        if (is_at(what, to_folder, to)) return 0;
        if (number == ENOENT) return ENOENT;
        // One without an answer may still have been under way when its target was looked at.
        if (!is_at(what, from_folder, from)) return is_at(what, to_folder, to) ? 0 : ENOENT;
    }
}

template <class Result, class Args, class Function>
int Client::remove(Function function, Args &args, const Node &what, const std::string &folder, std::string_view name)
{
    for (;;) {
        const int number = change<Result>(function, args);
        // It was there.
        if (number == ENOENT) return 0;
        if (number != unanswered) return number;
        // By handle: once it is gone another file may have its inode's number.
        const std::optional<Node> found = lookup(folder, name);
        if (!found || found->handle != what.handle) return 0;
    }
}

int Client::remove_file(const Node &what, const std::string &folder, std::string_view name)
{
    Where where(folder, name);
    REMOVE3args args{where.args()};
    return remove<REMOVE3res>(&::rpc_nfs3_remove_async, args, what, folder, name);
}

int Client::remove_folder(const Node &what, const std::string &folder, std::string_view name)
{
    Where where(folder, name);
    RMDIR3args args{where.args()};
    return remove<RMDIR3res>(&::rpc_nfs3_rmdir_async, args, what, folder, name);
}

}  // namespace litbuild::nfs
