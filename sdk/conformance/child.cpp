#include "child.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <span>

#include <litbuild/linux/tree.hpp>

namespace litbuild::conformance {

using linux_::Descriptor;
using std::chrono::milliseconds;

namespace {

Shared *page = nullptr;

/// What was thrown while a function of the plugin was being called came out of that.
std::string not_caught(const std::string &what)
{
    if (page->calling[0] == 0) return "the kit itself: " + what;
    return std::string("an exception left ") + page->calling + " (" + what +
           "); catch it and return a code, for nothing unwinds across the contract (rule 4)";
}

std::string letter(Letter what) { return std::string(1, static_cast<char>(what)); }

[[noreturn]] void be_the_child(int result, const std::filesystem::path &output, const std::function<std::string()> &body)
{
    ::setsid();
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    // Whoever runs the kit may ignore or block signals and have a umask of his own; the checks look at what a plugin changes.
    for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
    sigset_t none_blocked;
    ::sigemptyset(&none_blocked);
    ::sigprocmask(SIG_SETMASK, &none_blocked, nullptr);
    ::umask(022);
    // A core of every crash that is looked for is of no use to anybody.
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    const int in = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    const int out = ::open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    ::dup2(in, 0);
    ::dup2(out, 1);
    ::dup2(out, 2);
    ::close(in);
    ::close(out);
    const std::string text = carried_out(body);
    for (size_t at = 0; at < text.size();) {
        const ssize_t size = ::write(result, text.data() + at, text.size() - at);
        if (size <= 0) break;
        at += static_cast<size_t>(size);
    }
    // Nobody's destructors: what a plugin does at the end of a process is not looked at here.
    ::_exit(0);
}

/// Orphans of the check, whose parent this process has become: as at any init, they do not stay as zombies.
void reap_orphans(pid_t check)
{
    siginfo_t info{};
    while (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid > 0 && info.si_pid != check) {
        ::waitpid(info.si_pid, nullptr, WNOHANG);
        info.si_pid = 0;
    }
}

/// Waits for one of them, and looks after orphans meanwhile. False: the time is up.
bool ready(std::span<pollfd> wanted, pid_t check, Clock::time_point end)
{
    for (;;) {
        reap_orphans(check);
        const auto left = std::clamp<int64_t>(std::chrono::ceil<milliseconds>(end - Clock::now()).count(), 0, 20);
        if (::poll(wanted.data(), wanted.size(), static_cast<int>(left)) > 0) return true;
        if (Clock::now() >= end) return false;
    }
}

/// Everything that is said until the pipe's last writer is gone or the time is up.
std::string heard(int pipe, const Descriptor &child, pid_t check, Clock::time_point end)
{
    std::string out;
    char piece[4096];
    for (;;) {
        pollfd wait[2] = {{pipe, POLLIN, 0}, {child.get(), POLLIN, 0}};
        if (!ready(wait, check, end) || (wait[0].revents & (POLLIN | POLLHUP)) == 0) return out;
        const ssize_t size = ::read(pipe, piece, sizeof piece);
        if (size <= 0) return out;
        out.append(piece, static_cast<size_t>(size));
    }
}

/// What the child started may have left its session and its parent; all of it ends up with this process, its subreaper.
void end_descendants()
{
    const pid_t self = ::getpid();
    for (int idle = 0; idle < 200; ++idle) {
        bool any = false;
        for (const linux_::Held &held : linux_::descendants_of(self, [](const linux_::Held &) {}))
            any |= linux_::send(held, SIGKILL);
        while (::waitpid(-1, nullptr, WNOHANG) > 0) any = true;
        if (!any && linux_::children_of(self).empty()) return;
        ::poll(nullptr, 0, 2);
    }
}

std::string signal_text(int signal)
{
    const char *name = ::sigabbrev_np(signal);
    const char *words = ::sigdescr_np(signal);
    return name && words ? std::string("SIG") + name + " (" + words + ")" : "signal " + std::to_string(signal);
}

std::string tail_of(const std::filesystem::path &file)
{
    std::ifstream in(file, std::ios::binary);
    std::string out(std::istreambuf_iterator<char>(in), {});
    if (out.size() > 4096) out.erase(0, out.size() - 4096);
    return out;
}

Result judged(const std::string &said, int status, bool in_time, milliseconds limit)
{
    Result out;
    if (!in_time) {
        out.verdict = Verdict::hung;
        out.text = "it was not done after " + std::to_string(limit.count()) + " ms";
    } else if (WIFSIGNALED(status)) {
        out.verdict = Verdict::crashed;
        out.text = "the process was ended by " + signal_text(WTERMSIG(status));
    } else if (said.empty() || WEXITSTATUS(status) != 0) {
        out.verdict = Verdict::ended;
        out.text = "the process ended itself with exit status " + std::to_string(WEXITSTATUS(status));
    } else {
        const auto what = static_cast<Letter>(said.front());
        out.verdict = what == Letter::passed ? Verdict::passed : what == Letter::skipped ? Verdict::skipped : Verdict::failed;
        out.text = said.substr(1);
    }
    return out;
}

}  // namespace

Shared *shared() noexcept { return page; }

std::string carried_out(const std::function<std::string()> &body)
{
    try {
        return letter(Letter::passed) + body();
    } catch (const Failure &e) {
        return letter(Letter::failed) + e.text;
    } catch (const Skip &e) {
        return letter(Letter::skipped) + e.why;
    } catch (const std::exception &e) {
        return letter(Letter::failed) + not_caught(e.what());
    } catch (...) {
        return letter(Letter::failed) + not_caught("of unknown type");
    }
}

WorkFolder::WorkFolder()
{
    std::string pattern = (std::filesystem::temp_directory_path() / "litbuild-check-XXXXXX").string();
    if (!::mkdtemp(pattern.data())) throw os_error(pattern, "make a folder for the checks", errno);
    path_ = pattern;
}

WorkFolder::~WorkFolder()
{
    std::error_code error;
    std::filesystem::remove_all(path_, error);
}

Result in_child(const std::filesystem::path &output, milliseconds limit, const std::function<std::string()> &body)
{
    if (!page) {
        void *made = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (made == MAP_FAILED) throw os_error("check", "share a page with its process", errno);
        page = static_cast<Shared *>(made);
        ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    }
    page->calling[0] = 0;
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw os_error("check", "make a pipe", errno);
    Descriptor from(ends[0]), to(ends[1]);
    const Clock::time_point begin = Clock::now();
    const pid_t child = ::fork();
    if (child < 0) throw os_error("check", "start its process", errno);
    if (child == 0) {
        from = Descriptor();
        be_the_child(to.get(), output, body);
    }
    to = Descriptor();
    const Descriptor held = linux_::open_pidfd(child);
    if (!held) throw os_error("check", "hold its process", errno);

    const Clock::time_point end = begin + limit;
    const std::string said = heard(from.get(), held, child, end);
    // With its word out it has little left to do.
    const Clock::time_point last = said.empty() ? end : std::max(end, Clock::now() + milliseconds(1000));
    pollfd wait[1] = {{held.get(), POLLIN, 0}};
    const bool in_time = ready(wait, child, last);
    if (!in_time) linux_::send(held, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    end_descendants();

    Result out = judged(said, status, in_time, limit);
    if (out.verdict == Verdict::crashed || out.verdict == Verdict::ended || out.verdict == Verdict::hung)
        out.during = page->calling;
    out.printed = tail_of(output);
    out.took = std::chrono::duration_cast<milliseconds>(Clock::now() - begin);
    return out;
}

}  // namespace litbuild::conformance
