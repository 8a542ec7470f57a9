// NfsFs: trees that are copied and compared.
#include <nfs/nfs_trees.hpp>

#include <map>

#include <nfs/tree_walk.hpp>

namespace litbuild::nfs {

namespace {

constexpr uint32_t piece_size = 1024 * 1024;
constexpr size_t block_size = 64 * 1024;

bool is_zero(std::string_view piece) noexcept { return piece.find_first_not_of('\0') == piece.npos; }

// A server may keep whole seconds, or less than nanoseconds.
bool is_copy_of(int64_t time_ns, int64_t copy_ns) noexcept
{
    for (const int64_t unit : {1, 100, 1'000, 1'000'000, 1'000'000'000})
        if (copy_ns == time_ns / unit * unit) return true;
    return false;
}

// Who is not its owner there gets none of the rights that came with the owner.
uint32_t mode_of_copy(const Attributes &original, const Attributes &copy) noexcept
{
    uint32_t mode = original.mode;
    if (original.uid != copy.uid) mode &= ~04000u;
    if (original.gid != copy.gid && original.type != Type::folder) mode &= ~02000u;
    return mode;
}

bool is_same(const Attributes &a, const Attributes &b) noexcept
{
    if (a.type != b.type) return false;
    if (a.type == Type::link) return true;
    if (!is_copy_of(a.modified_ns, b.modified_ns)) return false;
    if (a.type == Type::file && a.size != b.size) return false;
    if ((a.type == Type::block || a.type == Type::character) && a.device != b.device) return false;
    return b.mode == mode_of_copy(a, b);
}

class TreeCopy {
public:
    TreeCopy(Client &client, const std::string &object, const folder::Told &told)
        : client_(client), object_(object), told_(told)
    {
    }

    TreeFault run(const Node &from, const Node &to)
    {
        try {
            begin(from, to, Old::maybe, true);
            while (!levels_.empty()) {
                client_.call().check(object_);
                Level &level = levels_.back();
                if (level.next < level.items.size()) {
                    item(level.items[level.next++]);
                    continue;
                }
                name_.clear();
                // What was made in it has changed its time.
                keep(level.from.is, client_.attributes(level.to.handle), level.to.handle);
                if (levels_.size() > 1) trail_.pop();
                levels_.pop_back();
            }
            return {};
        } catch (const Refusal &refusal) {
            return trail_.fault(refusal.number, name_, action_);
        }
    }

private:
    enum class Old { none, maybe };   // whether an earlier copy may have left something
    struct Level {
        Node from, to;
        std::vector<Item> items;
        std::map<std::string, Item> there;
        size_t next = 0;
    };

    static void check(int number)
    {
        if (number != 0) throw Refusal{number};
    }

    void begin(Node from, Node to, Old old, bool is_top)
    {
        Level level{std::move(from), std::move(to), {}, {}, 0};
        if ((level.to.is.mode & 0700) != 0700) (void)client_.set(level.to.handle, {.mode = 0700});
        level.items = sorted_items(client_, level.from.handle, is_top);
        if (old == Old::maybe)
            for (Item &each : sorted_items(client_, level.to.handle, false)) level.there.emplace(each.name, std::move(each));
        levels_.push_back(std::move(level));
        Level &last = levels_.back();
        for (auto at = last.there.begin(); at != last.there.end();) {
            const bool is_known = std::binary_search(last.items.begin(), last.items.end(), at->second,
                                                     [](const Item &a, const Item &b) { return a.name < b.name; });
            if (!is_known) clear(last, at->second);
            at = is_known ? std::next(at) : last.there.erase(at);
        }
    }

    void clear(const Level &level, const Item &old)
    {
        name_ = old.name;
        action_ = "replace it";
        const std::optional<Node> node = node_of(client_, level.to.handle, old);
        if (!node) return;
        if (!node->is_folder()) return check(client_.remove_file(*node, level.to.handle, old.name));
        const TreeFault fault = clear_tree(client_, *node, object_);
        check(fault.number);
        check(client_.remove_folder(*node, level.to.handle, old.name));
    }

    void item(const Item &listed)
    {
        Level &level = levels_.back();
        name_ = listed.name;
        action_ = "copy it";
        // As it is now; gone since it was listed: the comparison will tell.
        const std::optional<Node> found = client_.lookup(level.from.handle, listed.name);
        if (!found) return;
        const auto old = level.there.find(listed.name);
        std::optional<Node> there;
        if (old != level.there.end()) {
            there = node_of(client_, level.to.handle, old->second);
            const bool is_usable = there && there->is.type == found->is.type &&
                                   (found->is_folder() || found->is.type == Type::file);
            if (there && !is_usable) {
                clear(level, old->second);
                there.reset();
            }
            action_ = "copy it";
        }
        if (found->is_folder()) return folder(level, *found, there);
        if (found->is.type == Type::file) return file(level, *found, there);
        if (found->is.type == Type::link)
            check(client_.make_link(level.to.handle, name_, client_.read_link(found->handle), 0777));
        else
            check(client_.make_special(level.to.handle, name_, found->is.type, found->is.device, 0600));
        keep_at(level, found->is);
    }

    void folder(const Level &level, const Node &found, std::optional<Node> there)
    {
        if (found.is.file_system != levels_.front().from.is.file_system) throw Refusal{EXDEV};
        const bool is_new = !there;
        if (is_new) {
            check(client_.make_folder(level.to.handle, name_, 0700));
            there = client_.lookup(level.to.handle, name_);
            if (!there) throw Refusal{ESTALE};
        }
        trail_.push(name_);
        begin(found, *there, is_new ? Old::none : Old::maybe, false);
    }

    void file(const Level &level, const Node &found, const std::optional<Node> &there)
    {
        const bool is_linked = found.is.links > 1;
        const auto first = is_linked ? copies_.find(found.is.inode) : copies_.end();
        if (first != copies_.end()) {
            told_(found.is.size);
            if (there && there->is.inode == first->second.is.inode) return;
            if (there) check(client_.remove_file(*there, level.to.handle, name_));
            action_ = "link it";
            return check(client_.link(first->second, level.to.handle, name_));
        }
        // The times come last, and so tell that the content is whole.
        const bool is_copied = there && there->is.size == found.is.size &&
                               is_copy_of(found.is.modified_ns, there->is.modified_ns) &&
                               (is_linked || there->is.links == 1);
        Node copy;
        if (is_copied) {
            copy = *there;
            told_(found.is.size);
        } else {
            if (there) check(client_.remove_file(*there, level.to.handle, name_));
            check(client_.make_file(level.to.handle, name_, 0600, Client::Name::shared, copy));
            try {
                content(found, copy);
            } catch (const Refusal &refusal) {
                if (refusal.number != ESTALE) throw;
                // Replaced since it was looked at: the comparison will tell.
                return check(client_.remove_file(copy, level.to.handle, name_));
            }
        }
        keep(found.is, client_.attributes(copy.handle), copy.handle);
        if (is_linked) copies_.emplace(found.is.inode, copy);
    }

    void content(const Node &found, const Node &copy)
    {
        uint64_t at = 0;
        while (at < found.is.size) {
            client_.call().check(object_);
            const std::string piece =
                client_.read(found.handle, at, static_cast<uint32_t>(std::min<uint64_t>(piece_size, found.is.size - at)));
            if (piece.empty()) break;
            write(copy, at, piece);
            at += piece.size();
            told_(piece.size());
        }
        check(client_.set(copy.handle, {.size = at}));
    }

    // But zeros, which read the same where nothing was written.
    void write(const Node &copy, uint64_t at, std::string_view piece)
    {
        size_t start = 0, end = 0;
        while (end < piece.size()) {
            const std::string_view block = piece.substr(end, block_size);
            const bool is_hole = is_zero(block);
            if (is_hole && end > start) client_.write(copy.handle, at + start, piece.substr(start, end - start), Stable::yes);
            end += block.size();
            if (is_hole) start = end;
        }
        if (end > start) client_.write(copy.handle, at + start, piece.substr(start, end - start), Stable::yes);
    }

    void keep_at(const Level &level, const Attributes &original)
    {
        const std::optional<Node> made = client_.lookup(level.to.handle, name_);
        if (!made) throw Refusal{ESTALE};
        keep(original, made->is, made->handle);
    }

    // Owners where it is permitted.
    void keep(const Attributes &original, Attributes copy, const std::string &handle)
    {
        action_ = "copy its attributes";
        if (copy.uid != original.uid && client_.set(handle, {.uid = original.uid}) == 0) copy.uid = original.uid;
        if (copy.gid != original.gid && client_.set(handle, {.gid = original.gid}) == 0) copy.gid = original.gid;
        Changes changes{.modified_ns = original.modified_ns};
        if (original.type != Type::link) changes.mode = mode_of_copy(original, copy);
        const int number = client_.set(handle, changes);
        // Not every server lets a link have times.
        if (original.type != Type::link) check(number);
    }

    Client &client_;
    const std::string &object_;
    const folder::Told &told_;
    Trail trail_;
    std::string name_;
    const char *action_ = "copy it";
    std::vector<Level> levels_;
    std::map<uint64_t, Node> copies_;   // of files with several names, by inode
};

class Comparison {
public:
    Comparison(Client &client, folder::Compare what, const std::string &object, const folder::Told &told)
        : client_(client), what_(what), object_(object), told_(told)
    {
    }

    TreeFault run(const Node &a, const Node &b, bool &same)
    {
        try {
            same = whole(a, b);
            return {};
        } catch (const Refusal &refusal) {
            return trail_.fault(refusal.number, name_, "compare it");
        }
    }

private:
    struct Level {
        Node a, b;
        std::vector<Item> of_a, of_b;
        size_t next = 0;
    };

    bool whole(const Node &a, const Node &b)
    {
        if (!begin(a, b, true)) return false;
        while (!levels_.empty()) {
            client_.call().check(object_);
            Level &level = levels_.back();
            if (level.next == level.of_a.size()) {
                if (levels_.size() > 1) trail_.pop();
                levels_.pop_back();
                continue;
            }
            const size_t at = level.next++;
            if (!item(level.a, level.of_a[at], level.b, level.of_b[at])) return false;
        }
        return true;
    }

    bool begin(const Node &a, const Node &b, bool is_top)
    {
        name_.clear();
        Level level{a, b, sorted_items(client_, a.handle, is_top), sorted_items(client_, b.handle, false), 0};
        const bool same = is_same(client_.attributes(a.handle), client_.attributes(b.handle)) &&
                          std::equal(level.of_a.begin(), level.of_a.end(), level.of_b.begin(), level.of_b.end(),
                                     [](const Item &one, const Item &other) { return one.name == other.name; });
        if (same) levels_.push_back(std::move(level));
        return same;
    }

    bool item(const Node &in_a, const Item &of_a, const Node &in_b, const Item &of_b)
    {
        name_ = of_a.name;
        const std::optional<Node> a = node_of(client_, in_a.handle, of_a), b = node_of(client_, in_b.handle, of_b);
        if (!a || !b || !is_same(a->is, b->is) || !same_links(a->is, b->is)) return false;
        if (a->is.type == Type::link) return client_.read_link(a->handle) == client_.read_link(b->handle);
        if (a->is.type == Type::file) {
            try {
                return what_ == folder::Compare::attributes || same_content(*a, *b);
            } catch (const Refusal &refusal) {
                // What has gone meanwhile is a difference.
                if (refusal.number == ESTALE) return false;
                throw;
            }
        }
        if (!a->is_folder()) return true;
        trail_.push(of_a.name);
        return begin(*a, *b, false);
    }

    // Names of one file on one side are names of one file on the other.
    bool same_links(const Attributes &a, const Attributes &b)
    {
        if (a.type == Type::folder || (a.links == 1 && b.links == 1)) return true;
        return to_b_.try_emplace(a.inode, b.inode).first->second == b.inode &&
               to_a_.try_emplace(b.inode, a.inode).first->second == a.inode;
    }

    bool same_content(const Node &a, const Node &b)
    {
        for (uint64_t at = 0; at < a.is.size;) {
            client_.call().check(object_);
            const std::string piece = client_.read(a.handle, at, piece_size);
            if (piece.empty()) return false;
            std::string other;
            while (other.size() < piece.size()) {
                const auto rest = static_cast<uint32_t>(piece.size() - other.size());
                const std::string more = client_.read(b.handle, at + other.size(), rest);
                if (more.empty()) return false;
                other += more;
            }
            if (piece != other) return false;
            at += piece.size();
            told_(piece.size());
        }
        return true;
    }

    Client &client_;
    const folder::Compare what_;
    const std::string &object_;
    const folder::Told &told_;
    Trail trail_;
    std::string name_;
    std::vector<Level> levels_;
    std::map<uint64_t, uint64_t> to_a_, to_b_;
};

}  // namespace

TreeFault copy_tree(Client &client, const Node &from, const Node &to, const std::string &object, const folder::Told &told)
{
    return TreeCopy(client, object, told).run(from, to);
}

TreeFault compare_trees(Client &client, const Node &a, const Node &b, folder::Compare what, const std::string &object,
                        const folder::Told &told, bool &same)
{
    return Comparison(client, what, object, told).run(a, b, same);
}

}  // namespace litbuild::nfs
