#include <nfs/nfs_fs.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fstream>

#include <folder-store/afterwards.hpp>
#include <folder-store/noise.hpp>
#include <folder-store/owner.hpp>

#include <nfs/served_folder.hpp>

namespace litbuild::nfs {

using folder::Durable;
using folder::Info;
using folder::Kind;
using folder::Path;
using folder::Read;
using folder::Renamed;

namespace {

constexpr uint64_t editable_size = 1024 * 1024;
constexpr uint32_t piece_size = 1024 * 1024, small_file = 16 * 1024;

// umask() cannot be asked without changing it for the whole process.
uint32_t without_umask(uint32_t mode)
{
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
        unsigned mask = 0;
        if (std::sscanf(line.c_str(), "Umask: %o", &mask) == 1) return mode & ~mask;
    }
    return mode & ~022u;
}

// "team", "team/logs", "team/logs/archive".
bool is_above_builds(const Path &path) noexcept
{
    const std::string &text = path.text();
    const auto depth = std::count(text.begin(), text.end(), '/');
    return depth == 0 || (depth == 1 && text.ends_with("/logs")) || (depth == 2 && text.ends_with("/logs/archive"));
}

Kind kind_of(Type type) noexcept
{
    return type == Type::file ? Kind::file : type == Type::folder ? Kind::folder : Kind::other;
}

// Around a change from here: what is listed meanwhile may be from before it.
class Forgetting {
public:
    explicit Forgetting(Memory &memory) : memory_(memory) {}
    ~Forgetting() { memory_.forget(); }
    Forgetting(const Forgetting &) = delete;
    Forgetting &operator=(const Forgetting &) = delete;

private:
    Memory &memory_;
};

}  // namespace

NfsFs::NfsFs(const Options &options)
    : root_(options.path.empty() ? options.address.folder : options.path), server_(options.address, options.patience),
      leases_(options.lease), memory_(options.fresh)
{
    while (root_.size() > 1 && root_.back() == '/') root_.pop_back();
}

// None: nothing there. Refusal: ELOOP where a link stands in the way.
std::optional<Node> NfsFs::walk(Client &client, const Path &path)
{
    Node node{client.root(), {}};
    node.is.type = Type::folder;
    if (path.is_root()) node.is = client.attributes(node.handle);
    std::string_view rest = path.text();
    Path at;
    // Of a folder that is walked through; what stands at the end is always asked for.
    for (Path above = path.parent(); memory_.is_on() && !path.is_root() && !above.is_root(); above = above.parent()) {
        const std::optional<std::string> known = memory_.handle(above);
        if (!known) continue;
        node.handle = *known;
        at = above;
        rest.remove_prefix(above.text().size() + 1);
        break;
    }
    while (!rest.empty()) {
        if (node.is.type == Type::link) throw Refusal{ELOOP};
        if (!node.is_folder()) return std::nullopt;
        const size_t end = std::min(rest.find('/'), rest.size());
        std::optional<Node> next = client.lookup(node.handle, rest.substr(0, end));
        if (!next) return std::nullopt;
        node = std::move(*next);
        at = at / rest.substr(0, end);
        if (memory_.is_on() && node.is_folder() && is_above_builds(at)) memory_.found(at, node.handle);
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return node;
}

Node NfsFs::walk_folder(Client &client, const Path &path)
{
    std::optional<Node> node = walk(client, path);
    if (!node) throw Refusal{ENOENT};
    if (node->is.type == Type::link) throw Refusal{ELOOP};
    if (!node->is_folder()) throw Refusal{ENOTDIR};
    return std::move(*node);
}

bool NfsFs::read_dir(const Call &call, const Path &dir, const folder::NameSink &each)
{
    std::vector<Item> items;
    Clock::time_point begun;
    const bool is_there = at_server(call, dir, "list it", [&](Client &client) {
        begun = Clock::now();
        const std::optional<Node> node = walk(client, dir);
        if (node && node->is.type == Type::link) throw Refusal{ELOOP};
        if (!node || !node->is_folder()) return false;
        items = client.list(node->handle);
        return true;
    });
    if (memory_.is_on() && is_there && is_above_builds(dir)) memory_.listed(dir, items, begun);
    for (const Item &item : items)
        if (!each(item.name, kind_of(item.is.type))) break;
    return is_there;
}

Info NfsFs::look(const Call &call, const Path &path)
{
    return at_server(call, path, "look at it", [&](Client &client) {
        const std::optional<Node> node = walk(client, path);
        if (!node) return Info{};
        return Info{kind_of(node->is.type), node->is.modified_ns, node->is.size, node->is.inode, node->is.changed_ns};
    });
}

Read NfsFs::read(const Call &call, const Path &path, uint64_t offset, uint64_t max, const TextSink &sink)
{
    if (std::optional<std::string> known; memory_.is_on() && read_known(call, path, known)) {
        if (!known) return Read::no_file;
        const std::string_view text = *known;
        if (offset < text.size()) sink(text.substr(offset, max == 0 ? text.npos : max));
        return Read::done;
    }
    bool is_begun = false;
    return at_server(call, path, "read it", [&](Client &client) {
        if (is_begun) throw Error(Code::unavailable, shown(path) + ": was replaced while it was read; try again", ESTALE);
        const std::optional<Node> folder = walk(client, path.parent());
        if (folder && folder->is.type == Type::link) throw Refusal{ELOOP};
        if (!folder || !folder->is_folder()) return Read::no_folder;
        const std::optional<Node> node = client.lookup(folder->handle, path.name());
        if (!node) return Read::no_file;
        if (node->is.type == Type::link) throw Refusal{ELOOP};
        if (node->is.type != Type::file) throw Error(Code::corrupt, shown(path) + ": is not a regular file");
        // The end as it is now: a file that grows faster than it is read has one, too.
        const uint64_t size = node->is.size;
        if (offset >= size) return Read::done;
        uint64_t left = max == 0 ? size - offset : std::min(max, size - offset);
        for (uint64_t at = offset; left > 0;) {
            call.check(shown(path));
            const auto want = static_cast<uint32_t>(std::min<uint64_t>(left, piece_size));
            std::string piece = client.read(node->handle, at, want);
            if (piece.empty()) break;
            if (piece.size() > want) piece.resize(want);
            is_begun = true;
            if (!sink(piece)) break;
            at += piece.size();
            left -= piece.size();
        }
        return Read::done;
    });
}

// Whether a fresh listing knows the folder of the file; then what is in it, from memory or asked for by the folder's handle.
bool NfsFs::read_known(const Call &call, const Path &path, std::optional<std::string> &content)
{
    const Path folder = path.parent();
    const Memory::Listing listing = memory_.listing(folder);
    if (listing == Memory::Listing::none) return false;
    if (listing == Memory::Listing::old) read_dir(call, folder.parent(), [](std::string_view, Kind) { return false; });
    const std::optional<Memory::Known> known = memory_.known(folder, path.name());
    if (!known) return false;
    content = known->content;
    if (known->has_file) return true;
    try {
        Client client(server_, call);
        if (read_next(client, path, content)) return true;
        const std::optional<Node> file = client.lookup(known->handle, path.name());
        // What is no small file has its own way.
        if (file && (file->is.type != Type::file || file->is.size > small_file)) return false;
        if (file) content = file->is.size == 0 ? std::string() : client.read(file->handle, 0, small_file);
        if (file && content->size() != file->is.size) return false;
    } catch (const Refusal &) {
        return false;
    }
    memory_.read(folder, *known, path.name(), content);
    return true;
}

// Who reads one build after the other is going to read the next ones.
bool NfsFs::read_next(Client &client, const Path &path, std::optional<std::string> &content)
{
    const std::vector<Memory::Next> next = memory_.next(path.parent(), path.name());
    if (next.size() < 2) return false;
    std::vector<std::string> handles;
    for (const Memory::Next &one : next) handles.push_back(one.known.handle);
    const std::vector<Client::Small> found = client.read_small(handles, path.name(), small_file);
    bool is_told = false;
    for (size_t i = 0; i < next.size(); ++i) {
        if (!found[i].is_told) continue;
        memory_.read(next[i].folder, next[i].known, path.name(), found[i].content);
        if (next[i].folder.text() != path.parent().text()) {
            memory_.read_ahead(next[i], path.name(), found[i].content);
            continue;
        }
        content = found[i].content;
        is_told = true;
    }
    return is_told;
}

bool NfsFs::make_dir(const Call &call, const Path &path)
{
    const Forgetting forgetting(memory_);
    return at_server(call, path, "make the folder", [&](Client &client) {
        const Node folder = walk_folder(client, path.parent());
        const int number = client.make_folder(folder.handle, path.name(), without_umask(0777));
        if (number != 0 && number != EEXIST) throw Refusal{number};
        return number == 0;
    });
}

Node NfsFs::write(Client &client, const Node &folder, std::string_view name, std::string_view content, Durable durable,
                  Client::Name whose)
{
    Node file;
    if (const int number = client.make_file(folder.handle, name, without_umask(0666), whose, file); number != 0)
        throw Refusal{number};
    try {
        client.write(file.handle, 0, content, durable == Durable::yes ? Stable::yes : Stable::no);
    } catch (...) {
        discard(client.call(), file, folder, name);
        throw;
    }
    return file;
}

void NfsFs::discard(const Call &call, const Node &file, const Node &folder, std::string_view name) noexcept
{
    try {
        Client client(server_, folder::afterwards(call));
        (void)client.remove_file(file, folder.handle, name);
    } catch (...) {
        // What made the writing fail keeps it from being cleaned up.
    }
}

void NfsFs::write_file(const Call &call, const Path &path, std::string_view content, Durable durable)
{
    const Forgetting forgetting(memory_);
    at_server(call, path, "write it", [&](Client &client) {
        (void)write(client, walk_folder(client, path.parent()), path.name(), content, durable, Client::Name::shared);
    });
}

void NfsFs::replace(Client &client, const Node &folder, const Path &path, std::string_view content, Durable durable,
                    folder::Lock *held)
{
    const std::string temporary = folder::temporary_name();
    const Node file = write(client, folder, temporary, content, durable, Client::Name::unique);
    if (held) client.rest();
    try {
        require_held(client.call(), held, path);
    } catch (...) {
        discard(client.call(), file, folder, temporary);
        throw;
    }
    const int number = client.rename(file, folder.handle, temporary, folder.handle, path.name());
    if (number == 0) return;
    discard(client.call(), file, folder, temporary);
    throw Refusal{number};
}

void NfsFs::replace_file(const Call &call, const Path &path, std::string_view content, Durable durable)
{
    const Forgetting forgetting(memory_);
    at_server(call, path, "replace it", [&](Client &client) {
        replace(client, walk_folder(client, path.parent()), path, content, durable, nullptr);
    });
}

// `waiting`: how long for others.
std::unique_ptr<HeldLease> NfsFs::hold(const Call &waiting, Client &client, const Node &folder, const Path &path,
                                       HeldLease::Times times)
{
    client.rest();
    return std::make_unique<HeldLease>(leases_, client.call(), waiting, std::make_shared<ServedFolder>(server_, folder.handle),
                                       path.name(), shown(path), times);
}

std::unique_ptr<folder::Lock> NfsFs::lock(const Call &call, const Path &path)
{
    // Who does not want to wait for others has to wait for the server all the same.
    constexpr std::chrono::milliseconds moment(500);
    const Call limits = call.expired() && !call.cancelled() ? Call::within(moment) : call;
    return at_server(limits, path, "lock it", [&](Client &client) -> std::unique_ptr<folder::Lock> {
        return hold(call, client, walk_folder(client, path.parent()), path, HeldLease::Times::keep);
    });
}

bool NfsFs::is_still(Client &client, const Node &folder, const Path &path)
{
    const std::optional<Node> now = walk(client, path);
    return now && now->is.inode == folder.is.inode && now->is.type == folder.is.type;
}

std::string NfsFs::content(Client &client, const Node &folder, const Path &path) const
{
    const std::optional<Node> file = client.lookup(folder.handle, path.name());
    if (!file) return {};
    if (file->is.type == Type::link) throw Refusal{ELOOP};
    if (file->is.type != Type::file) throw Error(Code::corrupt, shown(path) + ": is not a regular file");
    std::string text;
    for (;;) {
        const std::string piece = client.read(file->handle, text.size(), piece_size);
        if (piece.empty()) return text;
        text += piece;
        if (text.size() > editable_size) throw Error(Code::corrupt, shown(path) + ": is larger than 1 MiB");
        if (text.size() >= file->is.size) return text;
    }
}

void NfsFs::edit_file(const Call &call, const Path &path, Durable durable, const folder::Change &change)
{
    const Forgetting forgetting(memory_);
    bool is_entered = false;
    at_server(call, path, "change it", [&](Client &client) {
        if (is_entered) throw Error(Code::unavailable, shown(path) + ": was moved meanwhile; try again", ESTALE);
        const Node folder = walk_folder(client, path.parent());
        const auto held = hold(call, client, folder, path, HeldLease::Times::change);
        // Who copies the folder elsewhere holds the lock when he puts it away; what is changed now would go with it.
        if (!is_still(client, folder, path.parent()))
            throw Error(Code::not_found, shown(path) + ": was moved meanwhile", ENOENT);
        const std::string before = content(client, folder, path);
        // What it does is not done twice.
        is_entered = true;
        const std::string after = change(before);
        if (after == before) return;
        if (after.size() > editable_size) throw Error(Code::invalid, shown(path) + ": would be larger than 1 MiB");
        replace(client, folder, path, after, durable, held.get());
    });
}

Renamed NfsFs::rename(const Call &call, const Path &from, const Path &to)
{
    const Forgetting forgetting(memory_);
    return at_server(call, from, "move it", [&](Client &client) {
        const std::optional<Node> from_folder = walk(client, from.parent());
        if (!from_folder || !from_folder->is_folder()) return Renamed::missing;
        const std::optional<Node> to_folder = walk(client, to.parent());
        if (!to_folder || !to_folder->is_folder()) return Renamed::missing;
        const std::optional<Node> what = client.lookup(from_folder->handle, from.name());
        if (!what) return Renamed::missing;
        // A folder with something in it is never replaced; who makes an empty one in between loses that.
        if (client.lookup(to_folder->handle, to.name())) return Renamed::exists;
        int number = 0;
        if (what->is_folder()) {
            number = client.rename(*what, from_folder->handle, from.name(), to_folder->handle, to.name());
        } else {
            number = client.link(*what, to_folder->handle, to.name());
            if (number == 0) number = client.remove_file(*what, from_folder->handle, from.name());
        }
        switch (number) {
        case 0: return Renamed::done;
        case ENOENT: return Renamed::missing;
        case EEXIST:
        case ENOTEMPTY: return Renamed::exists;
        case EXDEV: return Renamed::other_file_system;
        default: throw Refusal{number};
        }
    });
}

void NfsFs::sync_dir(const Call &, const Path &) {}

bool NfsFs::remove_file(const Call &call, const Path &path)
{
    const Forgetting forgetting(memory_);
    return at_server(call, path, "remove it", [&](Client &client) {
        const std::optional<Node> folder = walk(client, path.parent());
        if (!folder || !folder->is_folder()) return false;
        const std::optional<Node> file = client.lookup(folder->handle, path.name());
        if (!file) return false;
        if (file->is_folder()) throw Refusal{EISDIR};
        const int number = client.remove_file(*file, folder->handle, path.name());
        if (number != 0) throw Refusal{number};
        return true;
    });
}

}  // namespace litbuild::nfs
