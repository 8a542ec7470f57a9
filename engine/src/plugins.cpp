#include "plugins.hpp"

#include <elf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>

#include <boost/dll/shared_library.hpp>
#include <boost/json.hpp>

#include <litbuild/abi.hpp>

namespace litbuild::detail {

namespace fs = std::filesystem;

namespace {

constexpr const char *symbol = "litbuild_plugin_v1";
constexpr const char *interface_ids[] = {LB_STORE_ID, LB_STATUS_ID, LB_PROCESS_ID};

std::string abi_text(uint32_t abi) { return std::to_string(abi >> 16) + "." + std::to_string(abi & 0xffff); }

/// "litbuild.store/1" -> "store"
std::string short_name(std::string_view id)
{
    id.remove_prefix(std::min(id.find('.') + 1, id.size()));
    return std::string(id.substr(0, id.find('/')));
}

/// Loading a library is running it: whoever can write it, or swap it in its folder, is this process.
void check_owner(const fs::path &path)
{
    struct stat info{};
    if (::lstat(path.c_str(), &info) != 0) throw os_error(path.string(), "look at it", errno);
    if (S_ISLNK(info.st_mode))
        throw Error(Code::denied, path.string() + ": is a symbolic link; plugins are not loaded through links");
    if (info.st_uid != 0 && info.st_uid != ::geteuid())
        throw Error(Code::denied, path.string() + ": belongs to user " + std::to_string(info.st_uid) +
                                      "; a plugin must belong to root or to the user that loads it");
    if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        throw Error(Code::denied, path.string() + ": others may write to it; take the right away (chmod go-w)");
}

struct Manifest {
    std::string name, version, abi, library;
    std::vector<std::string> provides;
};

Manifest read_manifest(const fs::path &file)
{
    std::ifstream in(file.string(), std::ios::binary);
    std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    if (!in) throw Error(Code::unavailable, file.string() + ": cannot be read");
    boost::system::error_code error;
    const boost::json::value value = boost::json::parse(text, error);
    const auto word = [&](const char *key) -> std::string {
        const boost::json::value *found = value.is_object() ? value.as_object().if_contains(key) : nullptr;
        return found && found->is_string() ? std::string(found->as_string()) : std::string();
    };
    Manifest out{word("name"), word("version"), word("abi"), word("library"), {}};
    if (value.is_object())
        if (const boost::json::value *list = value.as_object().if_contains("provides"); list && list->is_array())
            for (const boost::json::value &id : list->as_array())
                if (id.is_string()) out.provides.emplace_back(id.as_string());
    if (out.name.empty() || out.library.empty() || out.abi.empty())
        throw Error(Code::corrupt, file.string() + ": is no plugin manifest (name, abi and library must be texts)");
    if (out.library.find('/') != std::string::npos || out.library.front() == '.')
        throw Error(Code::denied, file.string() + ": its library " + quote(out.library) + " is not a bare file name");
    return out;
}

/// The loader maps what the headers promise; where the file ends before, touching it is a bus error and not a return
/// value. Anything but a 64-bit library that is cut short is left to the loader, who has the better words.
void check_whole(const fs::path &path)
{
    std::ifstream in(path.string(), std::ios::binary);
    const uint64_t size = fs::file_size(path);
    Elf64_Ehdr head{};
    if (!in.read(reinterpret_cast<char *>(&head), sizeof head) || std::memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 ||
        head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_phentsize != sizeof(Elf64_Phdr))
        return;
    in.seekg(static_cast<std::streamoff>(head.e_phoff));
    for (unsigned i = 0; i < head.e_phnum; ++i) {
        Elf64_Phdr part{};
        if (in.read(reinterpret_cast<char *>(&part), sizeof part) &&
            (part.p_type != PT_LOAD || (part.p_offset <= size && part.p_filesz <= size - part.p_offset)))
            continue;
        throw Error(Code::unavailable, path.string() + ": cannot be loaded: the file is cut short");
    }
}

/// The library's symbol, loaded once per process and kept for good: what a plugin leaves behind (threads, static objects,
/// function pointers) outlives any count of its users.
const lb_plugin *load(const fs::path &file)
{
    static std::mutex mutex;
    // Never destroyed on purpose: to destroy a shared_library is to unload it.
    static auto &loaded = *new std::map<std::string, boost::dll::shared_library>;
    const std::lock_guard lock(mutex);
    const std::string key = file.string();
    auto found = loaded.find(key);
    if (found == loaded.end()) {
        check_owner(file.parent_path());
        check_owner(file);
        try {
            check_whole(file);
            // The throwing constructor, for only it keeps the loader's own words.
            found = loaded.emplace(key, boost::dll::shared_library(file, boost::dll::load_mode::rtld_now)).first;
        } catch (const Error &) {
            throw;
        } catch (const std::exception &e) {
            throw Error(Code::unavailable, key + ": cannot be loaded: " + e.what());
        }
    }
    if (!found->second.has(symbol)) {
        for (int major = 1; major < 100; ++major)
            if (found->second.has("litbuild_plugin_v" + std::to_string(major)))
                throw Error(Code::unsupported, key + ": is made for plugin contract " + std::to_string(major) +
                                                   ".x; this engine speaks " + abi_text(LITBUILD_ABI));
        throw Error(Code::unsupported, key + ": is no plugin of litbuild (it has no symbol " + symbol + ")");
    }
    return &found->second.get<const lb_plugin>(symbol);
}

lb_plugin checked(const lb_plugin *plugin, const std::string &object)
{
    const lb_plugin copy = abi::copy(plugin);
    if (copy.struct_size < sizeof(uint32_t) * 2 || copy.abi >> 16 != LITBUILD_ABI_MAJOR)
        throw Error(Code::unsupported, object + ": is made for plugin contract " + abi_text(copy.abi) +
                                           "; this engine speaks " + abi_text(LITBUILD_ABI));
    if (!copy.get) throw Error(Code::unsupported, object + ": gives no interfaces");
    return copy;
}

Candidate linked_candidate(const lb_plugin *plugin)
{
    Candidate out;
    out.linked = plugin;
    const lb_plugin copy = checked(plugin, "linked-in plugin");
    out.info.name = abi::text(copy.name);
    out.info.version = abi::text(copy.version);
    out.info.abi = abi_text(copy.abi);
    for (const char *id : interface_ids)
        if (copy.get(abi::str(id))) out.info.interfaces.push_back(short_name(id));
    return out;
}

Candidate found_candidate(const fs::path &file)
{
    Candidate out;
    out.info.name = file.stem().string();
    try {
        check_owner(file);
        const Manifest manifest = read_manifest(file);
        out.info.name = manifest.name;
        out.info.version = manifest.version;
        out.info.abi = manifest.abi;
        out.info.file = (file.parent_path() / manifest.library).string();
        for (const std::string &id : manifest.provides) out.info.interfaces.push_back(short_name(id));
        if (manifest.abi.substr(0, manifest.abi.find('.')) != std::to_string(LITBUILD_ABI_MAJOR))
            throw Error(Code::unsupported, out.info.file.string() + ": is made for plugin contract " + manifest.abi +
                                               "; this engine speaks " + abi_text(LITBUILD_ABI));
        check_owner(out.info.file.string());
    } catch (const Error &e) {
        out.info.problem = e.what();
        out.problem = e;
    }
    return out;
}

}  // namespace

Registry::Registry(const std::vector<const lb_plugin *> &linked, const std::vector<std::filesystem::path> &folders)
    : folders_(folders)
{
    for (const lb_plugin *plugin : linked) linked_.push_back(linked_candidate(plugin));
    for (const fs::path &folder : folders_)
        if (!folder.is_absolute())
            throw Error(Code::invalid, folder.string() + ": plugin folders are given by absolute path");
}

std::vector<Candidate> Registry::all() const
{
    std::vector<Candidate> out = linked_;
    for (const fs::path &folder : folders_) {
        std::error_code error;
        std::vector<fs::path> files;
        for (fs::directory_iterator at(folder.string(), error), end; !error && at != end; at.increment(error))
            if (at->path().extension() == ".json") files.push_back(at->path());
        std::sort(files.begin(), files.end());
        for (const fs::path &file : files) out.push_back(found_candidate(file));
    }
    return out;
}

const void *Registry::table(const std::string &name, const char *interface) const
{
    const auto named = [&](const Candidate &candidate) { return candidate.info.name == name; };
    std::vector<Candidate> candidates = linked_;
    auto found = std::find_if(candidates.begin(), candidates.end(), named);
    // A program that needs none of them reads no folder.
    if (found == candidates.end()) {
        candidates = all();
        found = std::find_if(candidates.begin(), candidates.end(), named);
    }
    if (found == candidates.end()) {
        std::string known;
        // One that is linked in may lie in a folder, too.
        std::vector<std::string> names;
        for (const Candidate &candidate : candidates) {
            if (std::find(names.begin(), names.end(), candidate.info.name) != names.end()) continue;
            names.push_back(candidate.info.name);
            known += (known.empty() ? "" : ", ") + candidate.info.name;
        }
        throw Error(Code::not_found, "plugin " + quote(name) + ": not found; known are " + known);
    }
    if (found->problem) throw *found->problem;
    const std::string object = found->linked ? "plugin " + name : found->info.file.string();
    const lb_plugin plugin = checked(found->linked ? found->linked : load(found->info.file.string()), object);
    const void *table = plugin.get(abi::str(interface));
    if (!table)
        throw Error(Code::unsupported, object + ": provides no " + short_name(interface) + " (interface " + interface + ")");
    return table;
}

}  // namespace litbuild::detail
