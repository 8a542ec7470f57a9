// A guest of User Mode Linux: a kernel of its own, with the root of this host as its root and this user's rights in it. It
// has what the kernel here may not: the NFS client, and a host name, a clock and an end of its own.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include <litbuild/call.hpp>
#include <litbuild/linux/descriptor.hpp>

namespace uml {

namespace fs = std::filesystem;
using litbuild::Clock;
using litbuild::linux_::Descriptor;

/// Empty: guests can be started here; else why not.
inline std::string missing()
{
    for (const char *program : {"/usr/bin/linux.uml", "/usr/bin/ganesha.nfsd"})
        if (::access(program, X_OK) != 0) return std::string(program) + " is not installed";
    if (::access("/usr/lib/uml/modules", R_OK) != 0) return "there are no modules of User Mode Linux";
    return "";
}

/// Whether a guest may keep its memory in a file there.
inline bool may_hold_memory(const char *folder)
{
    struct statvfs found{};
    constexpr uint64_t enough = uint64_t{1} << 30;
    return ::access(folder, W_OK) == 0 && ::statvfs(folder, &found) == 0 && (found.f_flag & ST_NOEXEC) == 0 &&
           found.f_bavail * found.f_frsize >= enough;
}

inline fs::path source() { return fs::path(::getenv("LITBUILD_SOURCE_DIR")); }
inline fs::path helpers() { return fs::path(::getenv("LITBUILD_HELPER_DIR")); }

struct Result {
    int status = 0;       ///< exit status; 128 and the signal; -1: not in time
    std::string output;
};

/// Powers off when it goes, and whatever is left of it is killed.
class Guest {
public:
    /// Boots; boot() waits for it. `setup` is run in it first. `box` is a folder of its own, of the host.
    Guest(fs::path box, const std::string &name, const std::string &setup, const std::vector<std::string> &more = {})
        : box_(std::move(box)), name_(name)
    {
        fs::create_directories(box_);
        put("setup.sh", "hostname " + name + "\n" + setup);
        int to[2], from[2];
        if (::pipe2(to, O_CLOEXEC) != 0 || ::pipe2(from, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
        to_.reset(to[1]);
        from_.reset(from[0]);
        const Descriptor in(to[0]), out(from[1]);
        std::vector<std::string> words = {"linux.uml", "mem=512M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "rw",
                                          "init=" + (helpers() / "uml_init").string(), "uml_box=" + box_.string(),
                                          "con=null", "con0=null,fd:1", "con1=fd:3,fd:4", "quiet", "uml_dir=" + box_.string(),
                                          "umid=uml"};
        words.insert(words.end(), more.begin(), more.end());
        std::vector<char *> arguments;
        for (std::string &word : words) arguments.push_back(word.data());
        arguments.push_back(nullptr);
        const std::string log = (box_ / "log").string();
        pid_ = ::fork();
        if (pid_ == 0) {
            ::setsid();
            // Its memory is a file there.
            ::setenv("TMPDIR", may_hold_memory("/dev/shm") ? "/dev/shm" : "/tmp", 1);
            ::setenv("LD_PRELOAD", (helpers() / "uml_registers.so").c_str(), 1);
            const int file = ::open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666), none = ::open("/dev/null", O_RDONLY);
            const int high_in = ::fcntl(in.get(), F_DUPFD, 10), high_out = ::fcntl(out.get(), F_DUPFD, 10);
            ::dup2(none, 0);
            ::dup2(file, 1);
            ::dup2(file, 2);
            ::dup2(high_in, 3);
            ::dup2(high_out, 4);
            ::closefrom(5);
            ::execv("/usr/bin/linux.uml", arguments.data());
            ::_exit(127);
        }
    }
    ~Guest() { end(); }
    Guest(const Guest &) = delete;
    Guest &operator=(const Guest &) = delete;

    /// Waits until `setup` is done. Throws std::runtime_error, with what it said.
    void boot()
    {
        const Result ready = wait(0, std::chrono::seconds(300));
        if (ready.status != 0)
            throw std::runtime_error(name_ + ": did not start (" + std::to_string(ready.status) + "): " + ready.output + read("log"));
    }

    /// Runs a script of bash; its number is for wait().
    int start(const std::string &script)
    {
        const int number = ++started_;
        put(std::to_string(number) + ".sh", script);
        const std::string word = std::to_string(number) + "\n";
        if (::write(to_.get(), word.data(), word.size()) != static_cast<ssize_t>(word.size())) throw std::runtime_error("guest");
        return number;
    }
    Result wait(int number, std::chrono::milliseconds limit)
    {
        const Clock::time_point end = Clock::now() + limit;
        while (!ended_.contains(number)) {
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now());
            pollfd ready{from_.get(), POLLIN, 0};
            if (left.count() <= 0 || ::poll(&ready, 1, static_cast<int>(left.count())) <= 0) return {-1, output(number)};
            if (!hear()) return {-1, output(number)};
        }
        return {ended_[number], output(number)};
    }
    Result run(const std::string &script, std::chrono::milliseconds limit = std::chrono::seconds(60))
    {
        return wait(start(script), limit);
    }
    /// What a script has printed so far.
    std::string output(int number) const { return read(std::to_string(number) + ".out"); }
    const fs::path &box() const { return box_; }

    /// At once, as by a power cut.
    void kill()
    {
        if (pid_ <= 0) return;
        // All that it consists of: the processes of a guest are in one session and group.
        ::kill(-pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        pid_ = 0;
    }
    void freeze() const { ::kill(pid_, SIGSTOP); }
    void thaw() const { ::kill(pid_, SIGCONT); }

private:
    void put(const std::string &name, const std::string &text) const { std::ofstream(box_ / name) << text; }
    std::string read(const std::string &name) const
    {
        std::ifstream in(box_ / name, std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }

    bool hear()
    {
        char piece[4096];
        const ssize_t got = ::read(from_.get(), piece, sizeof piece);
        if (got <= 0) return false;
        heard_.append(piece, static_cast<size_t>(got));
        for (size_t end; (end = heard_.find('\n')) != std::string::npos; heard_.erase(0, end + 1)) {
            int number = 0, status = 0;
            if (std::sscanf(heard_.c_str(), "%d %d", &number, &status) == 2) ended_[number] = status;
        }
        return true;
    }

    void end()
    {
        if (pid_ <= 0) return;
        thaw();
        to_.reset();   // which is its word to power off
        const Clock::time_point end = Clock::now() + std::chrono::seconds(5);
        while (Clock::now() < end) {
            siginfo_t info{};
            if (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid_) break;
            ::poll(nullptr, 0, 10);
        }
        kill();
    }

    fs::path box_;
    std::string name_;
    pid_t pid_ = 0;
    int started_ = 0;
    Descriptor to_, from_;
    std::string heard_;
    std::map<int, int> ended_;
};

/// What scripts in a guest need to find this project.
inline std::string environment();

/// For the shell, as one word.
inline std::string quoted(const std::string &text)
{
    std::string out = "'";
    for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return out + "'";
}

inline std::string environment()
{
    std::string out;
    for (const char *name : {"LITBUILD_SOURCE_DIR", "LITBUILD_BIN_DIR", "LITBUILD_HELPER_DIR", "LITBUILD_PLUGIN_DIR"})
        if (const char *value = ::getenv(name)) out += std::string("export ") + name + "=" + quoted(value) + "\n";
    return out + "export HELPERS=$LITBUILD_HELPER_DIR UML=$LITBUILD_SOURCE_DIR/tests/uml TMPDIR=/run/tmp\n";
}

}  // namespace uml
