#include "progress.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <string>

#include "text.hpp"

namespace litbuild::cli {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto patience = 500ms;
constexpr auto between_looks = 100ms;
constexpr size_t bar_width = 16;

std::mutex mutex;
std::string shown_what;
uint64_t last_done = 0;
Clock::time_point started, drawn_at;
bool drawn = false;

bool is_terminal()
{
    const char *kind = ::getenv("TERM");
    return kind && *kind != '\0' && std::string_view(kind) != "dumb" && ::isatty(STDERR_FILENO) == 1;
}

size_t columns()
{
    winsize size{};
    return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/// "contoso/19 [####............] 25%  1.2 GB of 4.8 GB, 310 MB/s, 12s left"
std::string line(std::string_view what, uint64_t done, uint64_t total, Clock::duration lasted)
{
    const double seconds = std::chrono::duration<double>(lasted).count();
    const double speed = seconds > 0 ? static_cast<double>(done) / seconds : 0;
    std::string out(what);
    if (total > 0) {
        const double share = std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
        const auto full = static_cast<size_t>(share * static_cast<double>(bar_width));
        out += " [" + std::string(full, '#') + std::string(bar_width - full, '.') + "] " + percent(share);
    }
    out += "  " + size_text(done) + (total > 0 ? " of " + size_text(total) : "");
    if (speed > 0) out += ", " + size_text(static_cast<uint64_t>(speed)) + "/s";
    if (speed > 0 && total > done) {
        const double rest = std::min(static_cast<double>(total - done) / speed, 1e9);
        out += ", " + time_taken(1, 1 + static_cast<Timestamp>(rest * 1e9)) + " left";
    }
    // One that wraps could not be taken away again.
    return out.substr(0, columns() - 1);
}

void put(std::string_view text) { (void)!::write(STDERR_FILENO, text.data(), text.size()); }

}  // namespace

void show_progress(std::string_view what, uint64_t done, uint64_t total)
{
    static const bool wanted = is_terminal();
    if (!wanted) return;
    const std::lock_guard lock(mutex);
    const Clock::time_point now = Clock::now();
    if (what != shown_what || done < last_done) {
        shown_what = what;
        started = now;
    }
    last_done = done;
    if (now - started < patience || (drawn && now - drawn_at < between_looks)) return;
    drawn = true;
    drawn_at = now;
    put("\r" + line(what, done, total, now - started) + "\x1b[K");
}

void erase_progress() noexcept
{
    const std::lock_guard lock(mutex);
    if (drawn) put("\r\x1b[K");
    drawn = false;
    // What comes next is another copy.
    shown_what.clear();
}

}  // namespace litbuild::cli
