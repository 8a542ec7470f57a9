// Finding, checking and loading plugins.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <litbuild/engine.hpp>

namespace litbuild::detail {

/// A plugin that was found, by manifest or linked in. Nothing is loaded to find out what it is.
struct Candidate {
    PluginInfo info;
    std::optional<Error> problem;        ///< behind info.problem
    const lb_plugin *linked = nullptr;   ///< null: `info.file` has to be loaded
};

class Registry {
public:
    Registry() = default;
    Registry(const std::vector<const lb_plugin *> &linked, const std::vector<std::filesystem::path> &folders);

    /// Those that are linked in, then what lies in the folders now.
    std::vector<Candidate> all() const;
    /// The plugin's table of an interface ("litbuild.store/1"), the library loaded if need be, once per process and never
    /// unloaded. Code::not_found: no such plugin. Code::denied: others may write to it. Code::unsupported: of another
    /// contract, or without that interface.
    const void *table(const std::string &plugin, const char *interface) const;

private:
    std::vector<Candidate> linked_;
    std::vector<std::filesystem::path> folders_;
};

using LogFunction = std::function<void(int level, std::string_view line)>;

/// The classes of the SDK over tables. `reader` is what a status source may read builds through.
std::shared_ptr<BuildStore> import_store(const void *table, const PluginChoice &choice, const LogFunction &log);
std::shared_ptr<StatusSource> import_status(const void *table, const PluginChoice &choice, const LogFunction &log,
                                            const std::shared_ptr<BuildStore> &store);
std::shared_ptr<ProcessController> import_process(const void *table, const PluginChoice &choice,
                                                  const LogFunction &log);

}  // namespace litbuild::detail
