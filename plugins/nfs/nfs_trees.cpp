// NfsFs: whole trees; what is measured and removed.
#include <nfs/nfs_trees.hpp>

#include <folder-store/pause.hpp>

#include <nfs/nfs_fs.hpp>
#include <nfs/tree_walk.hpp>

namespace litbuild::nfs {

using folder::Path;

namespace {

struct Level {
    Node folder;
    std::string name;
    std::vector<Item> items;
    size_t next = 0;
};

}  // namespace

TreeFault measure_tree(Client &client, const Node &top, const std::string &object, folder::TreeSize &size)
{
    Trail trail;
    std::vector<Level> levels;
    std::string name;
    try {
        levels.push_back({top, "", sorted_items(client, top.handle, true)});
        while (!levels.empty()) {
            client.call().check(object);
            if (levels.back().next == levels.back().items.size()) {
                if (levels.size() > 1) trail.pop();
                levels.pop_back();
                continue;
            }
            const Item &item = levels.back().items[levels.back().next++];
            name = item.name;
            ++size.items;
            if (item.is.type == Type::file) size.bytes += item.is.size;
            if (item.is.type != Type::folder) continue;
            if (item.is.file_system != top.is.file_system) throw Refusal{EXDEV};
            const std::optional<Node> node = node_of(client, levels.back().folder.handle, item);
            if (!node) continue;
            std::vector<Item> below;
            try {
                below = sorted_items(client, node->handle, false);
            } catch (const Refusal &refusal) {
                // Gone since it was listed.
                if (refusal.number == ESTALE) continue;
                throw;
            }
            trail.push(item.name);
            name.clear();
            levels.push_back({*node, "", std::move(below)});
        }
        return {};
    } catch (const Refusal &refusal) {
        return trail.fault(refusal.number, name, "read it");
    }
}

TreeFault clear_tree(Client &client, const Node &top, const std::string &object)
{
    constexpr int tries = 100;
    const auto open_up = [&](const Node &folder) {
        return client.set(folder.handle, {.mode = folder.is.mode | 0700}) == 0;
    };
    const auto list = [&](const Node &folder) {
        try {
            return client.list(folder.handle);
        } catch (const Refusal &refusal) {
            if (refusal.number != EACCES || !open_up(folder)) throw;
            return client.list(folder.handle);
        }
    };
    const auto remove = [&](const Node &from, const Item &item, const Node &node) {
        const auto once = [&] {
            return node.is_folder() ? client.remove_folder(node, from.handle, item.name)
                                    : client.remove_file(node, from.handle, item.name);
        };
        const int number = once();
        return number == EACCES && open_up(from) ? once() : number;
    };
    Trail trail;
    std::vector<Level> levels;
    std::string name;
    int attempts = 0;
    try {
        levels.push_back({top, "", list(top)});
        for (;;) {
            client.call().check(object);
            Level &level = levels.back();
            if (level.next < level.items.size()) {
                const Item &item = level.items[level.next];
                name = item.name;
                const std::optional<Node> node = node_of(client, level.folder.handle, item);
                ++level.next;
                if (!node) continue;
                if (!node->is_folder()) {
                    if (const int number = remove(level.folder, item, *node); number != 0) throw Refusal{number};
                    continue;
                }
                if (node->is.file_system != top.is.file_system) throw Refusal{EXDEV};
                std::vector<Item> below = list(*node);
                trail.push(item.name);
                levels.push_back({*node, item.name, std::move(below)});
                continue;
            }
            if (levels.size() == 1) return {};
            const Level done = std::move(levels.back());
            levels.pop_back();
            trail.pop();
            name = done.name;
            const int number = remove(levels.back().folder, {done.name, done.folder.is, done.folder.handle}, done.folder);
            if (number == 0) continue;
            // Who held it from before, to write there, may still have made something behind us.
            if ((number != ENOTEMPTY && number != EEXIST) || ++attempts == tries) throw Refusal{number};
            folder::pause(client.call(), std::chrono::milliseconds(5));
            --levels.back().next;
        }
    } catch (const Refusal &refusal) {
        return trail.fault(refusal.number, name, "remove it");
    }
}

void NfsFs::remove_tree(const Call &call, const Path &path)
{
    at_server(call, path, "remove it", [&](Client &client) {
        const std::optional<Node> folder = walk(client, path.parent());
        if (!folder || !folder->is_folder()) return;
        constexpr int most = 100;
        for (int attempt = 0;; ++attempt) {
            const std::optional<Node> node = client.lookup(folder->handle, path.name());
            if (!node) return;
            if (!node->is_folder()) {
                if (const int number = client.remove_file(*node, folder->handle, path.name()); number != 0)
                    throw Refusal{number};
                return;
            }
            if (node->is.file_system != folder->is.file_system) raise({EXDEV, "", ""}, path);
            const TreeFault fault = clear_tree(client, *node, shown(path));
            if (fault.number == ESTALE && attempt < most) {
                // Another one removes it, too.
                call.check(shown(path));
                folder::pause(call, std::chrono::milliseconds(5));
                continue;
            }
            raise(fault, path);
            const int number = client.remove_folder(*node, folder->handle, path.name());
            if (number == 0) return;
            if ((number != ENOTEMPTY && number != EEXIST) || attempt == most) throw Refusal{number};
            call.check(shown(path));
        }
    });
}

folder::TreeSize NfsFs::measure(const Call &call, const Path &tree)
{
    return at_server(call, tree, "open it", [&](Client &client) {
        folder::TreeSize size;
        raise(measure_tree(client, walk_folder(client, tree), shown(tree), size), tree);
        return size;
    });
}

bool NfsFs::copy_tree(const Call &call, const Path &from, const Path &to, const folder::Told &told)
{
    return at_server(call, from, "copy it", [&](Client &client) {
        const Node parent = walk_folder(client, to.parent());
        const Node source = walk_folder(client, from);
        // Nobody is to look into it while modes and owners are not what they will be.
        const int number = client.make_folder(parent.handle, to.name(), 0700);
        if (number != 0 && number != EEXIST) throw Refusal{number};
        const Node target = walk_folder(client, to);
        const folder::TreeFault fault = nfs::copy_tree(client, source, target, shown(from), told);
        // On either side: what was written is on the server's disk.
        const bool has_gone = fault.number == ESTALE;
        if (!has_gone) raise(fault, from);
        return !has_gone;
    });
}

bool NfsFs::same_tree(const Call &call, const Path &tree, const Path &copy, folder::Compare what, const folder::Told &told)
{
    return at_server(call, tree, "compare it", [&](Client &client) {
        bool same = false;
        const Node a = walk_folder(client, tree), b = walk_folder(client, copy);
        raise(compare_trees(client, a, b, what, shown(tree), told, same), tree);
        return same;
    });
}

}  // namespace litbuild::nfs
