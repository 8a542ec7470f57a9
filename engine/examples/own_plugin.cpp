// A host with a plugin of its own linked in: own_plugin ROOT
//
// Its status source knows builds that another system runs: what that has finished left a file DONE. A plugin that is linked in
// has a symbol of its own; everything else is as in a library.
#define LITBUILD_PLUGIN_SYMBOL acme_status_plugin
#include <litbuild/engine.hpp>
#include <litbuild/export.hpp>

#include <filesystem>
#include <fstream>
#include <iostream>

namespace {

class AcmeStatus final : public litbuild::StatusSource {
public:
    AcmeStatus(const litbuild::Host &host, std::string_view) : read_(host.reader()) {}

    litbuild::Status status(const litbuild::Call &call, const litbuild::BuildName &build) override
    {
        litbuild::Status out;
        try {
            read_(call, build, "DONE", 0, 0, [&](std::string_view text) {
                out.message += text;
                return true;
            });
            out.state = litbuild::State::complete;
        } catch (const litbuild::Error &e) {
            if (e.code() != litbuild::Code::not_found) throw;
        }
        return out;
    }

private:
    litbuild::FileReader read_;
};

}  // namespace

LITBUILD_PLUGIN("acme-status", "1.0.0", litbuild::StatusOf<AcmeStatus>)

int main(int argc, char **argv)
{
    if (argc != 2) return 2;
    const std::filesystem::path folder = std::filesystem::path(argv[1]) / "acme/logs/7";
    std::filesystem::create_directories(folder);
    std::ofstream(folder / "DONE") << "all 12 parts";
    try {
        const litbuild::Engine engine({.root = argv[1], .status = {.plugin = "acme-status"}, .linked = {&acme_status_plugin}});
        const litbuild::Status status = engine.build("acme", 7).get_status();
        std::cout << "acme/7 is " << name(status.state) << ": " << status.message << "\n";
        return status.state == litbuild::State::complete ? 0 : 1;
    } catch (const litbuild::Error &e) {
        std::cerr << e.what() << "\n";
        return 1;
    }
}
