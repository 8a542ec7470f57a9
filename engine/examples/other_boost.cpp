// A host that uses another Boost than the engine does: other_boost ROOT
//
// A host of this kind has Boost's headers, includes them and links Boost as ever; nothing of the engine's is seen. Debian's
// headers of two versions cannot be installed side by side, so this one declares the little that it uses of 1.74 by hand.
#include <iostream>
#include <string>

#include <litbuild/engine.hpp>

namespace boost {
namespace system {
class error_code;
}
namespace filesystem {

class path {
public:
    explicit path(std::string text) : m_pathname(std::move(text)) {}
    const std::string &string() const { return m_pathname; }

private:
    std::string m_pathname;
};

namespace detail {
bool create_directories(const path &, system::error_code *);
path canonical(const path &, const path &base, system::error_code *);
path current_path(system::error_code *);
bool is_empty(const path &, system::error_code *);
}  // namespace detail
}  // namespace filesystem
}  // namespace boost

namespace fs = boost::filesystem;

namespace {

std::string real(const std::string &file)
{
    return fs::detail::canonical(fs::path(file), fs::detail::current_path(nullptr), nullptr).string();
}

}  // namespace

int main(int argc, char **argv)
{
    if (argc < 2) return 2;
    const std::string root = std::string(argv[1]) + "/other";
    fs::detail::create_directories(fs::path(root), nullptr);
    try {
        litbuild::Config config{.root = real(root)};
        // With a plugin from a library, so that the engine's own Boost.DLL, JSON and file system are all at work.
        if (argc > 2) {
            config.plugin_folders = {argv[2]};
            config.store.plugin = "my-store";
        }
        const litbuild::Engine engine(config);
        const litbuild::Build build = engine.launch("contoso", R"({"steps": [{"command": ["true"]}]})");
        const litbuild::State state = build.wait().state;
        const std::string folder = build.path().string();
        std::cout << real(folder + "/..") << " has build " << build.runid() << ", which is " << name(state) << "\n";
        if (fs::detail::is_empty(fs::path(folder), nullptr) || real(folder) != folder) return 1;
        return state == litbuild::State::complete ? 0 : 1;
    } catch (const std::exception &e) {
        std::cerr << e.what() << "\n";
        return 1;
    }
}
