// launcher ROOT SCRIPT: launches a build of team contoso, prints its run id, and stays until it is killed.
#include <unistd.h>

#include <cstdio>

#include <litbuild/engine.hpp>

int main(int argc, char **argv)
{
    if (argc != 3) return 2;
    const litbuild::Engine engine({.root = argv[1]});
    const std::string spec = std::string(R"({"steps": [{"name": "script", "command": ["sh", "-c", ")") + argv[2] + "\"]}]}";
    std::printf("%lld\n", static_cast<long long>(engine.launch("contoso", spec).runid()));
    std::fflush(stdout);
    for (;;) ::pause();
}
