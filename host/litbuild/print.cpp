#include "print.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "progress.hpp"
#include "text.hpp"

namespace litbuild::cli {
namespace {

int failed = 0;

int write_all(int fd, std::string_view text) noexcept
{
    while (!text.empty()) {
        const ssize_t put = ::write(fd, text.data(), text.size());
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return errno;
        text.remove_prefix(static_cast<size_t>(put));
    }
    return 0;
}

bool has_colours()
{
    const char *refused = ::getenv("NO_COLOR");
    if (refused && *refused != '\0') return false;
    const char *terminal = ::getenv("TERM");
    return terminal && *terminal != '\0' && std::string_view(terminal) != "dumb" && ::isatty(STDOUT_FILENO) == 1;
}

}  // namespace

bool print(std::string_view text) noexcept
{
    erase_progress();
    if (failed == 0) failed = write_all(STDOUT_FILENO, text);
    return failed == 0;
}

int print_error() noexcept { return failed; }

void complain(std::string_view text)
{
    std::string out = "litbuild: ";
    while (!text.empty()) {
        const size_t end = std::min(text.find('\n'), text.size());
        out += escaped(text.substr(0, end)) + "\n";
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    erase_progress();
    // Where even this cannot be written there is nobody left to tell.
    (void)write_all(STDERR_FILENO, out);
}

std::string coloured(std::string_view text, Colour colour)
{
    static const bool wanted = has_colours();
    static constexpr const char *codes[] = {"", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[34m"};
    if (!wanted || colour == Colour::none) return std::string(text);
    return codes[static_cast<size_t>(colour)] + std::string(text) + "\x1b[0m";
}

Colour colour_of(State state) noexcept
{
    switch (state) {
    case State::complete: return Colour::green;
    case State::running: return Colour::blue;
    case State::stopping:
    case State::stopped: return Colour::yellow;
    case State::failed:
    case State::error:
    case State::lost: return Colour::red;
    case State::queued:
    case State::unknown: return Colour::dim;
    }
    return Colour::none;
}

}  // namespace litbuild::cli
