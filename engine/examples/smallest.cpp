// The smallest program that embeds litbuild: smallest ROOT
#include <iostream>

#include <litbuild/engine.hpp>

int main(int argc, char **argv)
{
    if (argc != 2) return 2;
    try {
        const litbuild::Engine engine({.root = argv[1]});
        const litbuild::Build build = engine.launch("contoso", R"({"steps": [{"command": ["echo", "hello"]}]})");
        std::cout << build.path().string() << " is " << name(build.wait().state) << "\n";
    } catch (const litbuild::Error &e) {
        std::cerr << e.what() << "\n";
        return 1;
    }
}
