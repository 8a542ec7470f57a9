// A way through a tree on a server, by handles: however deep, whatever is renamed meanwhile.
#pragma once

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

#include <folder-store/tree_cursor.hpp>

#include <nfs/nfs_trees.hpp>

namespace litbuild::nfs {

inline std::vector<Item> sorted_items(Client &client, const std::string &folder, bool is_top)
{
    std::vector<Item> items = client.list(folder);
    if (is_top) std::erase_if(items, [](const Item &item) { return item.name == folder::passing_file; });
    std::sort(items.begin(), items.end(), [](const Item &a, const Item &b) { return a.name < b.name; });
    return items;
}

/// The node of what was listed. None: gone.
inline std::optional<Node> node_of(Client &client, const std::string &folder, const Item &item)
{
    if (!item.handle.empty()) return Node{item.handle, item.is};
    return client.lookup(folder, item.name);
}

/// Where a walk stands, for what it says of a fault.
class Trail {
public:
    void push(const std::string &name) { names_.push_back(name); }
    void pop() { names_.pop_back(); }
    TreeFault fault(int number, const std::string &name, const char *action) const
    {
        TreeFault out{number, "", action};
        for (const std::string &each : names_) out.where += (out.where.empty() ? "" : "/") + each;
        if (!name.empty()) out.where += (out.where.empty() ? "" : "/") + name;
        return out;
    }

private:
    std::vector<std::string> names_;
};

}  // namespace litbuild::nfs
