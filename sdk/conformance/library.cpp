// What holds for the library as a whole, before any interface is opened.
#include <elf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>

#include <litbuild/linux/proc.hpp>

#include "calls.hpp"
#include "checks.hpp"

namespace litbuild::conformance {

namespace {

constexpr const char *interfaces[] = {"store", "status", "process"};

std::string abi_text(uint32_t abi) { return std::to_string(abi >> 16) + "." + std::to_string(abi & 0xffff); }

void loads(Context &context)
{
    (void)load(context.subject().library);
}

void symbol(Context &context)
{
    const lb_plugin *found = load(context.subject().library);
    constexpr size_t least = offsetof(lb_plugin, get) + sizeof(lb_plugin::get);
    expect(found->struct_size >= least, "litbuild_plugin_v1.struct_size is " + std::to_string(found->struct_size) +
                                            "; lb_plugin has " + std::to_string(sizeof(lb_plugin)) + " bytes");
    expect(found->abi >> 16 == LITBUILD_ABI_MAJOR,
           "litbuild_plugin_v1.abi says contract " + abi_text(found->abi) + "; set it to LITBUILD_ABI, which is " +
               abi_text(LITBUILD_ABI) + " here, and must be of major " + std::to_string(LITBUILD_ABI_MAJOR));
    expect(found->get, "litbuild_plugin_v1.get is null");
    for (const lb_str text : {found->name, found->version})
        expect(text.data && text.size > 0 && text.size < 256 && is_utf8(abi::view(text)),
               "litbuild_plugin_v1.name and .version are texts of 1 to 255 bytes of UTF-8");
}

/// The names of a library's exported symbols.
std::vector<std::string> exported(const std::string &bytes)
{
    std::vector<std::string> out;
    const auto at = [&](size_t offset, auto &into) {
        if (offset > bytes.size() || bytes.size() - offset < sizeof into) fail("its ELF tables are damaged");
        std::memcpy(&into, bytes.data() + offset, sizeof into);
    };
    Elf64_Ehdr head{};
    at(0, head);
    if (std::memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_ident[EI_CLASS] != ELFCLASS64)
        skip("it is no 64-bit ELF file");
    for (size_t i = 0; i < head.e_shnum; ++i) {
        Elf64_Shdr section{}, names{};
        at(head.e_shoff + i * head.e_shentsize, section);
        if (section.sh_type != SHT_DYNSYM || section.sh_entsize == 0) continue;
        at(head.e_shoff + section.sh_link * size_t{head.e_shentsize}, names);
        for (size_t k = 1; k < section.sh_size / section.sh_entsize; ++k) {
            Elf64_Sym each{};
            at(section.sh_offset + k * section.sh_entsize, each);
            const unsigned visibility = ELF64_ST_VISIBILITY(each.st_other);
            if (each.st_shndx == SHN_UNDEF || each.st_shndx == SHN_ABS || visibility == STV_HIDDEN ||
                visibility == STV_INTERNAL)
                continue;
            const size_t name = names.sh_offset + each.st_name;
            if (name < bytes.size()) out.emplace_back(bytes.c_str() + name);
        }
    }
    return out;
}

void one_symbol(Context &context)
{
    std::ifstream in(context.subject().library, std::ios::binary);
    const std::string bytes(std::istreambuf_iterator<char>(in), {});
    std::vector<std::string> found = exported(bytes);
    std::erase(found, "litbuild_plugin_v1");
    if (found.empty()) return;
    std::string some;
    for (size_t i = 0; i < std::min<size_t>(found.size(), 5); ++i) some += (some.empty() ? "" : ", ") + found[i];
    fail("besides litbuild_plugin_v1 it exports " + std::to_string(found.size()) + " symbols (" + some +
         (found.size() > 5 ? ", ..." : "") +
         "), which other libraries of the process may be bound to; link it with -Wl,--version-script of a file "
         "{ global: litbuild_plugin_v1; local: *; };");
}

void owner(Context &context)
{
    const std::filesystem::path file = std::filesystem::absolute(context.subject().library);
    for (const std::filesystem::path &path : {file, file.parent_path()}) {
        struct stat info{};
        expect(::lstat(path.c_str(), &info) == 0, path.string() + ": cannot be looked at");
        expect(!S_ISLNK(info.st_mode), path.string() + ": is a symbolic link; engines load no plugin through one");
        expect(info.st_uid == 0 || info.st_uid == ::geteuid(),
               path.string() + ": belongs to user " + std::to_string(info.st_uid) +
                   "; engines load what belongs to root or to the user that loads it");
        expect((info.st_mode & (S_IWGRP | S_IWOTH)) == 0,
               path.string() + ": others may write to it, and no engine loads it so (chmod go-w)");
    }
}

void quiet_load(Context &context)
{
    (void)load(context.subject().library);
    expect(context.printed().empty(), "it printed " + quote(context.printed()) + " while it was loaded");
    const size_t threads = linux_::numbers_in("/proc/self/task").size();
    expect(threads == 1, "it started " + std::to_string(threads - 1) + " threads while it was loaded; `open` may");
}

void unknown_interface(Context &context)
{
    const lb_plugin &plugin = context.plugin();
    const Calling calling("lb_plugin.get");
    for (const std::string_view id :
         {std::string_view("litbuild.nonsense/1"), std::string_view(""), std::string_view("litbuild.store/10"),
          std::string_view("litbuild.store/"), std::string_view("litbuild.stor"), std::string_view("litbuild.store/2")})
        expect(!plugin.get(abi::str(id)), "lb_plugin.get(" + quote(id) + "): gave a table; of an interface that it does not "
                                                                       "know it gives a null pointer");
    expect(!plugin.get(lb_str{nullptr, 0}), "lb_plugin.get of the empty text (null, 0): gave a table");
}

void some_interface(Context &context)
{
    for (const char *interface : interfaces) {
        const void *first = context.raw_table(interface);
        if (!first) continue;
        expect(first == context.raw_table(interface), std::string("lb_plugin.get gave two tables for ") + interface);
        return;
    }
    fail(R"(lb_plugin.get gives a table for none of "litbuild.store/1", "litbuild.status/1" and "litbuild.process/1")");
}

void id_is_not_terminated(Context &context)
{
    const lb_plugin &plugin = context.plugin();
    for (const char *interface : interfaces) {
        const std::string id = interface_id(interface);
        const bool has = context.raw_table(interface);
        const Guarded guarded(id);
        const Calling calling("lb_plugin.get");
        expect(has == (plugin.get(guarded.str()) != nullptr),
               "lb_plugin.get(" + quote(id) +
                   "): answers otherwise where no zero byte stands behind the text; compare by size");
        const std::string longer = id + "7";
        expect(has == (plugin.get(lb_str{longer.data(), id.size()}) != nullptr),
               "lb_plugin.get(" + quote(id) +
                   "): answers otherwise where another byte stands behind the text; compare by size");
    }
}

constexpr Check checks[] = {
    {"library.loads", "The library can be loaded, with all symbols resolved, and exports litbuild_plugin_v1.", "lb_plugin",
     loads},
    {"library.symbol", "litbuild_plugin_v1 says its size, its contract's version, its name and version.", "lb_plugin", symbol},
    {"library.one-symbol", "litbuild_plugin_v1 is all that it exports.", "plugin.h, first lines", one_symbol},
    {"library.owner", "Only its owner, root or the user that loads it, can write the library and its folder.",
     "sdk/README.md, Install", owner},
    {"library.quiet-load", "Loading prints nothing and starts no thread.", "plugin.h, MANNERS", quiet_load},
    {"library.some-interface", "It provides at least one interface.", "lb_plugin.get", some_interface},
    {"library.unknown-interface", "An interface that it does not know is a null pointer.", "lb_plugin.get", unknown_interface},
    {"library.id-is-not-terminated", "An interface's id ends where its size says.", "plugin.h, TEXT", id_is_not_terminated},
};

}  // namespace

std::span<const Check> library_checks() { return checks; }

}  // namespace litbuild::conformance
