#include "context.hpp"

#include <dlfcn.h>

#include <cstdio>
#include <cstring>
#include <exception>
#include <fstream>
#include <iterator>

#include "child.hpp"

namespace litbuild::conformance {

Calling::Calling(const std::string &function)
{
    if (Shared *page = shared()) ::strncpy(page->calling, function.c_str(), sizeof page->calling - 1);
}

Calling::~Calling()
{
    // What is thrown through here came out of the function.
    if (std::uncaught_exceptions() > 0) return;
    if (Shared *page = shared()) page->calling[0] = 0;
}

std::string interface_id(std::string_view interface) { return "litbuild." + std::string(interface) + "/1"; }

std::string Context::config(std::string_view interface) const
{
    std::string out = interface == "store" ? subject_.store : interface == "status" ? subject_.status : subject_.process;
    constexpr std::string_view mark = "@FOLDER@";
    const std::string folder = folder_.string();
    for (size_t at = out.find(mark); at != out.npos; at = out.find(mark, at + folder.size()))
        out.replace(at, mark.size(), folder);
    return out;
}

const lb_plugin *load(const std::filesystem::path &library)
{
    const Calling calling("the library's own start (constructors)");
    // A bare name would be looked for along the loader's path.
    void *const handle = ::dlopen(std::filesystem::absolute(library).c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!handle) fail(std::string("the loader says: ") + ::dlerror());
    if (const void *found = ::dlsym(handle, "litbuild_plugin_v1")) return static_cast<const lb_plugin *>(found);
    for (int major = 2; major < 100; ++major)
        if (::dlsym(handle, ("litbuild_plugin_v" + std::to_string(major)).c_str()))
            fail("it is made for plugin contract " + std::to_string(major) + ".x; this kit knows " +
                 std::to_string(LITBUILD_ABI_MAJOR) + "." + std::to_string(LITBUILD_ABI_MINOR));
    fail("it exports no symbol litbuild_plugin_v1, which is how an engine knows a plugin. Is it declared const lb_plugin, in "
         "C (extern \"C\"), with default visibility?");
}

const lb_plugin &Context::plugin()
{
    if (plugin_) return *plugin_;
    plugin_ = abi::copy(load(subject_.library));
    if (plugin_->abi >> 16 != LITBUILD_ABI_MAJOR || !plugin_->get)
        fail("the library cannot be used; see the checks named library");
    return *plugin_;
}

const void *Context::raw_table(std::string_view interface)
{
    const std::string id = interface_id(interface);
    const lb_plugin &found = plugin();
    const Calling calling("lb_plugin.get");
    return found.get(abi::str(id));
}

std::string Context::printed() const
{
    // In the buffers of the C library it is printed, too.
    ::fflush(nullptr);
    std::ifstream in(output_, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
}

}  // namespace litbuild::conformance
