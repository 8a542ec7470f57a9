#include <nfs/served_folder.hpp>

#include <cerrno>

#include <folder-store/afterwards.hpp>

namespace litbuild::nfs {

namespace {

LeaseFolder::File file_of(const Node &node)
{
    return {node.is.inode, node.is.modified_ns, node.is.type == Type::file, node.handle};
}

Node node_of(const LeaseFolder::File &file)
{
    Node node{file.handle, {}};
    node.is.inode = file.inode;
    node.is.modified_ns = file.modified_ns;
    return node;
}

void require(int number)
{
    if (number != 0) throw Refusal{number};
}

}  // namespace

std::optional<LeaseFolder::File> ServedFolder::look(const Call &call, const std::string &name)
{
    const std::optional<Node> found = Client(server_, call).lookup(handle_, name);
    return found ? std::optional(file_of(*found)) : std::nullopt;
}

std::string ServedFolder::read(const Call &call, const File &file, const std::string &, uint32_t most)
{
    return Client(server_, call).read(file.handle, 0, most);
}

LeaseFolder::File ServedFolder::make(const Call &call, const std::string &name, std::string_view text, std::string_view begin)
{
    Client client(server_, call);
    Node file;
    require(client.make_file(handle_, name, 0644, Client::Name::unique, file));
    try {
        if (!text.empty()) client.write(file.handle, 0, text, Stable::no);
    } catch (...) {
        try {
            discard(folder::afterwards(call), file_of(file), name);
        } catch (...) {
            // Its name tells whose it was.
        }
        throw;
    }
    File made = file_of(file);
    made.begin = begin;
    return made;
}

bool ServedFolder::has_name(const Call &call, const File &file, const std::string &name)
{
    const std::optional<Node> found = Client(server_, call).lookup(handle_, name);
    return found && found->handle == file.handle;
}

void ServedFolder::renew(const Call &call, const File &file, const std::string &, std::string_view text)
{
    Client(server_, call).write(file.handle, 0, text, Stable::no);
}

LeaseFolder::Linked ServedFolder::link(const Call &call, const File &file, const std::string &, const std::string &more)
{
    const int number = Client(server_, call).link(node_of(file), handle_, more);
    if (number == EEXIST) return Linked::exists;
    require(number);
    return Linked::done;
}

bool ServedFolder::rename(const Call &call, const File &file, const std::string &from, const std::string &to)
{
    const int number = Client(server_, call).rename(node_of(file), handle_, from, handle_, to);
    if (number == ENOENT) return false;
    require(number);
    return true;
}

void ServedFolder::remove(const Call &call, const File &file, const std::string &name)
{
    Client client(server_, call);
    const std::optional<Node> found = client.lookup(handle_, name);
    if (found && found->handle == file.handle) (void)client.remove_file(*found, handle_, name);
}

void ServedFolder::discard(const Call &call, const File &file, const std::string &name)
{
    (void)Client(server_, call).remove_file(node_of(file), handle_, name);
}

int64_t ServedFolder::modified_ns(const Call &call) { return Client(server_, call).attributes(handle_).modified_ns; }

void ServedFolder::set_modified_ns(const Call &call, int64_t time_ns)
{
    (void)Client(server_, call).set(handle_, {.modified_ns = time_ns});
}

}  // namespace litbuild::nfs
