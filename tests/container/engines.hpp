// Real container engines, dockerd and podman, each with its own socket and folders, started by the test and ended by pid.
#pragma once

#include <netinet/in.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <mutex>
#include <sstream>

#include <container/api.hpp>
#include <container/options.hpp>
#include <container/launching.hpp>

#include "../support.hpp"

namespace engines {

using namespace support;
using litbuild::Call;

inline bool is_program(const char *name)
{
    for (const char *folder : {"/usr/local/sbin/", "/usr/local/bin/", "/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"})
        if (::access((std::string(folder) + name).c_str(), X_OK) == 0) return true;
    return false;
}

/// Starts it in a session of its own, with its output in `log`.
inline pid_t start(const std::vector<std::string> &words, const std::vector<std::string> &more_environment, const fs::path &log)
{
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    ::setsid();
    // Podman's monitors leave a file named "oom" where they were started.
    if (::chdir(log.parent_path().c_str()) != 0) ::_exit(126);
    for (const std::string &each : more_environment) ::putenv(const_cast<char *>(each.c_str()));
    const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0666);
    ::dup2(::open("/dev/null", O_RDONLY), 0);
    ::dup2(out, 1);
    ::dup2(out, 2);
    for (int fd = 3; fd < 256; ++fd) ::close(fd);
    std::vector<char *> argv;
    for (const std::string &word : words) argv.push_back(const_cast<char *>(word.c_str()));
    argv.push_back(nullptr);
    ::execvp(argv[0], argv.data());
    ::_exit(127);
}

/// Runs it to its end; false: it failed.
inline bool run(const std::vector<std::string> &words, const std::vector<std::string> &more_environment, const fs::path &log)
{
    int status = 0;
    const pid_t pid = start(words, more_environment, log);
    ::waitpid(pid, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/// One engine, with an image `localhost/busybox:1` made from this host's busybox, and `localhost/empty:1` with no file in it.
class ContainerEngine {
public:
    explicit ContainerEngine(std::string name) : name_(std::move(name))
    {
        socket_ = (folder_.path() / "s.sock").string();
        log_ = folder_.path() / "log";
        if (name_ == "podman") write_podman_configuration();
        if (name_ == "docker") make_certificates();
        begin();
        make_images();
    }
    ~ContainerEngine()
    {
        try {
            if (pid_ <= 0) begin();
            for (const auto &each : api().list(Call::within(20s), litbuild_label))
                api().remove(Call::within(20s), each.id, container::Api::Force::yes);
        } catch (const std::exception &e) {
            std::fprintf(stderr, "%s: %s\n", name_.c_str(), e.what());
        }
        end(SIGTERM);
        end_monitors();
        unmount();
    }
    ContainerEngine(const ContainerEngine &) = delete;
    ContainerEngine &operator=(const ContainerEngine &) = delete;

    /// Why it cannot be run here; empty: it can.
    static std::string missing(const std::string &name)
    {
        if (::geteuid() != 0) return "an engine of its own is started by root";
        for (const char *program : {name == "docker" ? "dockerd" : "podman", "runc", "busybox", "tar", "openssl"})
            if (!is_program(program)) return std::string("there is no ") + program;
        return "";
    }

    const std::string &name() const { return name_; }
    std::string address() const { return "unix://" + socket_; }
    /// Where dockerd listens with TLS, for who has a certificate in `folder()`: ca.pem, client.pem, client.key; another.pem and
    /// another.key are of an authority that it does not know.
    std::string secure_address() const { return "tcp://127.0.0.1:" + port_; }
    const fs::path &folder() const { return folder_.path(); }
    /// What its command line needs to reach it.
    const std::vector<std::string> &environment() const { return environment_; }
    const container::Api &api() const
    {
        if (!api_) api_ = std::make_unique<container::Api>(container::Endpoint::parse(address(), container::engine_kind), 60s);
        return *api_;
    }
    pid_t pid() const { return pid_; }

    void kill_hard() { end(SIGKILL); }

    /// Starts the daemon and waits until it answers. After a hard end dockerd's own child needs time to die.
    void begin()
    {
        std::vector<std::string> words = {"podman", "system", "service", "--time=0", address()};
        if (name_ == "docker") {
            const std::string d = folder_.path().string();
            words = {"dockerd", "--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false",
                     "--ip-masq=false", "--live-restore", "--storage-driver", "overlay2", "--data-root", d + "/data", "--exec-root", d + "/exec",
                     "--pidfile", d + "/pid", "-H", address(), "-H", secure_address(), "--tlsverify", "--tlscacert",
                     d + "/ca.pem", "--tlscert", d + "/server.pem", "--tlskey", d + "/server.key"};
            if (was_killed_) std::this_thread::sleep_for(3s);
        }
        pid_ = start(words, environment_, log_);
        eventually((name_ + " answers").c_str(), [&] {
            try {
                api().list(Call::within(5s), litbuild_label);
                return true;
            } catch (const litbuild::Error &) {
                if (::waitpid(pid_, nullptr, WNOHANG) != pid_) return false;
                pid_ = start(words, environment_, log_);
                std::this_thread::sleep_for(1s);
                return false;
            }
        }, 60s);
    }

    /// A tar becomes an image.
    bool import(const std::string &file, const std::string &image) const
    {
        if (name_ == "docker") return run({"docker", "-H", address(), "import", file, image}, {}, log_);
        return run({"podman", "import", "-q", file, image}, environment_, log_);
    }

    static constexpr const char *litbuild_label = container::label::uuid;

private:
    void end(int signal)
    {
        if (pid_ <= 0) return;
        ::kill(pid_, signal);
        ::waitpid(pid_, nullptr, 0);
        pid_ = 0;
        was_killed_ = signal == SIGKILL;
    }

    /// What a daemon that was killed in the middle of a start has left, such as podman's conmon with its `runc init`. They have
    /// this engine's own folder, which is nobody else's, in their command line.
    void end_monitors() const
    {
        for (const pid_t pid : litbuild::linux_::numbers_in("/proc")) {
            const fs::path file = "/proc/" + std::to_string(pid) + "/cmdline";
            if (pid == ::getpid() || slurp(file).find(folder_.path().string() + "/") == std::string::npos) continue;
            for (const pid_t child : litbuild::linux_::children_of(pid)) ::kill(child, SIGKILL);
            ::kill(pid, SIGKILL);
        }
    }

    /// Both leave the mount of their images' folder.
    void unmount() const
    {
        std::vector<std::string> points;
        std::istringstream lines(slurp("/proc/self/mountinfo"));
        for (std::string line; std::getline(lines, line);) {
            std::istringstream words(line);
            std::string point;
            for (int i = 0; i < 5; ++i) words >> point;
            if (point.starts_with(folder_.path().string() + "/")) points.push_back(point);
        }
        for (auto point = points.rbegin(); point != points.rend(); ++point) ::umount2(point->c_str(), MNT_DETACH);
    }

    void write_podman_configuration()
    {
        const std::string d = folder_.path().string();
        spill(
            folder_.path() / "containers.conf",
            "[containers]\ndefault_ulimits = [\"nofile=4096:4096\", \"nproc=8192:8192\"]\nnetns = \"none\"\n"
            "log_driver = \"k8s-file\"\n[engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n"
            "tmp_dir = \"" +
                d + "/tmp\"\n[network]\nnetwork_backend = \"netavark\"\n");
        spill(folder_.path() / "storage.conf",
              "[storage]\ndriver = \"overlay\"\ngraphroot = \"" + d + "/data\"\nrunroot = \"" + d + "/run\"\n");
        environment_ = {"CONTAINERS_CONF=" + d + "/containers.conf", "CONTAINERS_STORAGE_CONF=" + d + "/storage.conf"};
    }

    void make_certificates()
    {
        const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in local{};
        local.sin_family = AF_INET;
        local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof local;
        if (::bind(socket, reinterpret_cast<sockaddr *>(&local), sizeof local) != 0 ||
            ::getsockname(socket, reinterpret_cast<sockaddr *>(&local), &size) != 0)
            throw std::runtime_error("no port");
        port_ = std::to_string(ntohs(local.sin_port));
        ::close(socket);
        const std::string d = folder_.path().string() + "/";
        const auto make = [&](const std::string &who, std::vector<std::string> more) {
            std::vector<std::string> words = {"openssl", "req", "-x509", "-nodes", "-days", "2", "-newkey", "ec", "-pkeyopt",
                                              "ec_paramgen_curve:prime256v1", "-subj", "/CN=" + who};
            words.insert(words.end(), {"-keyout", d + who + ".key", "-out", d + who + ".pem"});
            words.insert(words.end(), more.begin(), more.end());
            if (!run(words, {}, log_)) throw std::runtime_error("no certificate: " + slurp(log_));
        };
        const std::vector<std::string> leaf = {"-CA", d + "ca.pem", "-CAkey", d + "ca.key", "-addext",
                                               "basicConstraints=critical,CA:FALSE"};
        make("ca", {});
        make("another", {});
        std::vector<std::string> server = leaf;
        server.insert(server.end(), {"-addext", "subjectAltName=IP:127.0.0.1"});
        make("server", server);
        make("client", leaf);
    }

    void make_images() const
    {
        const std::string d = folder_.path().string(), root = d + "/image";
        fs::create_directories(root + "/bin");
        for (const char *each : {"etc", "proc", "sys", "dev", "tmp"}) fs::create_directories(root + "/" + each);
        fs::copy_file("/bin/busybox", root + "/bin/busybox");
        spill(root + "/etc/passwd", "root:x:0:0::/:/bin/sh\n");
        const bool good = run({"/bin/busybox", "--install", "-s", root + "/bin"}, {}, log_) && relink(root + "/bin") &&
                          run({"tar", "-C", root, "-cf", d + "/busybox.tar", "."}, {}, log_) &&
                          run({"tar", "-C", root, "-cf", d + "/empty.tar", "etc"}, {}, log_) && 
                          import(d + "/busybox.tar", "localhost/busybox:1") && import(d + "/empty.tar", "localhost/empty:1");
        if (!good) throw std::runtime_error(name_ + ": no image could be made: " + slurp(log_));
    }

    static bool relink(const fs::path &bin)
    {
        for (const fs::directory_entry &each : fs::directory_iterator(bin)) {
            if (!each.is_symlink()) continue;
            const fs::path link = each.path();
            fs::remove(link);
            fs::create_symlink("busybox", link);
        }
        return true;
    }

    std::string name_;
    TempRoot folder_;
    std::string socket_, port_;
    fs::path log_;
    std::vector<std::string> environment_;
    pid_t pid_ = 0;
    bool was_killed_ = false;
    mutable std::unique_ptr<container::Api> api_;
};

/// Where builds of one engine are kept, and what starts them.
class Room {
public:
    explicit Room(ContainerEngine &engine, boost::json::object more = {}) : engine_(engine)
    {
        more.emplace("engine", engine.address());
        more.emplace("image", "localhost/busybox:1");
        more.emplace("timeout", "60s");
        config_.root = root_.path();
        config_.plugin_folders = {::getenv("LITBUILD_PLUGIN_DIR")};
        config_.process = {"container", boost::json::serialize(more)};
        config_.deadline = 90s;
        config_.log = [this](int, std::string_view line) {
            const std::lock_guard guard(logging_);
            logged_ += std::string(line) + "\n";
        };
    }
    litbuild::Engine open() const { return litbuild::Engine(config_); }
    const fs::path &root() const { return root_.path(); }
    const litbuild::Config &config() const { return config_; }
    std::string logged() const
    {
        const std::lock_guard guard(logging_);
        return logged_;
    }
    ContainerEngine &engine() const { return engine_; }

    container::Token token(const litbuild::Build &build) const
    {
        return container::Token::parse(slurp(build.path() / ".control/token"));
    }
    std::optional<container::Container> container_of(const litbuild::Build &build) const
    {
        return engine_.api().inspect(Call::within(30s), token(build).id);
    }

    /// The next launch, if nobody before, removes what has ended.
    void until_removed(const litbuild::Engine &litbuild, const std::vector<litbuild::Build> &builds) const
    {
        std::vector<std::string> ids;
        for (const litbuild::Build &build : builds) ids.push_back(token(build).id);
        const auto are_gone = [&] {
            return std::none_of(ids.begin(), ids.end(),
                                [&](const std::string &id) { return engine_.api().inspect(Call::within(30s), id); });
        };
        eventually("containers have ended", [&] {
            return std::all_of(ids.begin(), ids.end(), [&](const std::string &id) {
                const auto now = engine_.api().inspect(Call::within(30s), id);
                return !now || now->is_ended();
            });
        });
        if (!are_gone()) litbuild.launch("sweeper", shell("true")).wait(Call::within(60s));
        eventually("containers are removed", are_gone);
    }

private:
    ContainerEngine &engine_;
    TempRoot root_;
    litbuild::Config config_;
    mutable std::mutex logging_;
    std::string logged_;
};

}  // namespace engines
