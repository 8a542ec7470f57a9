// A real NFS server: nfs-ganesha on loopback, for version 3, with ports and a folder of its own.
#pragma once

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <litbuild/linux/descriptor.hpp>

namespace nfs_fixture {

namespace fs = std::filesystem;

/// A port of loopback that nobody listens on, another one each time; none that a client is given by itself, for a server that
/// starts again is to find it free again.
inline int free_port()
{
    constexpr unsigned first = 20000, count = 12000;
    static std::set<unsigned> given;
    std::random_device random;
    for (int i = 0; i < 1000; ++i) {
        const unsigned port = first + random() % count;
        if (!given.insert(port).second) continue;
        const litbuild::linux_::Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(static_cast<uint16_t>(port));
        if (::bind(socket.get(), reinterpret_cast<sockaddr *>(&address), sizeof address) == 0) return static_cast<int>(port);
    }
    throw std::runtime_error("no free port");
}

class Ganesha {
public:
    /// Empty: it can be started here.
    static std::string why_not()
    {
        if (::geteuid() != 0) return "needs root";
        if (program().empty()) return "ganesha.nfsd is not installed";
        bool has_vfs = false;
        for (const auto &item : fs::directory_iterator("/usr/lib"))
            has_vfs = has_vfs || fs::exists(item.path() / "ganesha/libfsalvfs.so");
        if (!has_vfs) return "nfs-ganesha-vfs is not installed";
        return "";
    }

    enum class Access { write, read };
    /// `base`: a folder of its own is made there; what is exported is `export` in it.
    explicit Ganesha(const fs::path &base, Access access = Access::write, const std::string &squash = "No_Root_Squash")
        : nfs_port(free_port()), mount_port(free_port())
    {
        std::string name = (base / "litbuild-nfs-XXXXXX").string();
        if (!::mkdtemp(name.data())) throw std::runtime_error("no temporary folder");
        folder = name;
        ::chmod(folder.c_str(), 0755);
        exported = folder / "export";
        fs::create_directories(exported);
        fs::create_directories(folder / "recovery");
        std::ofstream(folder / "ganesha.conf")
            << "NFS_CORE_PARAM { NFS_Port = " << nfs_port << "; MNT_Port = " << mount_port << "; Bind_addr = 127.0.0.1;\n"
            << "  Protocols = 3; Enable_NLM = false; Enable_RQUOTA = false; Enable_UDP = false; }\n"
            << "NFSV4 { Graceless = true; RecoveryRoot = " << (folder / "recovery").string() << "; RecoveryBackend = fs; }\n"
            << "NFS_KRB5 { Active_krb5 = false; }\n"
            << "LOG { Default_Log_Level = EVENT; }\n"
            << "EXPORT { Export_Id = 1; Path = " << exported.string() << "; Pseudo = /export; Access_Type = "
            << (access == Access::write ? "RW" : "RO") << ";\n  Squash = " << squash
            << "; SecType = sys; Protocols = 3; Transports = TCP; Attr_Expiration_Time = 0; FSAL { Name = VFS; } }\n";
        start();
    }
    ~Ganesha()
    {
        end(SIGKILL);
        std::error_code error;
        fs::remove_all(folder, error);
    }
    Ganesha(const Ganesha &) = delete;
    Ganesha &operator=(const Ganesha &) = delete;

    void start()
    {
        const std::string config = (folder / "ganesha.conf").string(), log = (folder / "log").string(),
                          pid_file = (folder / "pid").string(), tool = program();
        const char *helpers = std::getenv("LITBUILD_HELPER_DIR");
        const std::string preload = "LD_PRELOAD=" + std::string(helpers ? helpers : ".") + "/no_portmapper.so";
        fs::remove(log);
        const pid_t parent = ::getpid();
        pid_ = ::fork();
        if (pid_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (::getppid() != parent) ::_exit(1);
            const int null = ::open("/dev/null", O_RDWR);
            for (int fd = 0; fd < 3; ++fd) ::dup2(null, fd);
            ::close_range(3, ~0U, 0);
            std::array<char *, 3> environment = {const_cast<char *>(preload.c_str()),
                                                 const_cast<char *>("PATH=/usr/sbin:/usr/bin"), nullptr};
            ::execle(tool.c_str(), "ganesha.nfsd", "-F", "-f", config.c_str(), "-L", log.c_str(), "-p", pid_file.c_str(),
                     nullptr, environment.data());
            ::_exit(127);
        }
        for (int i = 0; i < 6000; ++i) {
            // It listens before it knows whether it can go on.
            if (text_of(log).find("NFS SERVER INITIALIZED") != std::string::npos) return;
            int status = 0;
            if (::waitpid(pid_, &status, WNOHANG) == pid_) break;
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
        throw std::runtime_error("ganesha did not start: " + text_of(log));
    }
    void end(int signal)
    {
        if (pid_ <= 0) return;
        ::kill(pid_, signal);
        ::waitpid(pid_, nullptr, 0);
        pid_ = 0;
    }
    /// It stands still when this returns: until then its threads may answer.
    void freeze()
    {
        ::kill(pid_, SIGSTOP);
        int status = 0;
        for (int i = 0; i < 6000 && ::waitpid(pid_, &status, WUNTRACED | WNOHANG) == 0; ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    void thaw() { ::kill(pid_, SIGCONT); }
    pid_t pid() const { return pid_; }

    /// Of the folder below the exported one, or of any other port.
    std::string url(const fs::path &path, int port = 0, int mount = 0) const
    {
        return "nfs://127.0.0.1" + path.string() + "?version=3&nfsport=" + std::to_string(port ? port : nfs_port) +
               "&mountport=" + std::to_string(mount ? mount : mount_port);
    }
    std::string url() const { return url(exported); }

    const int nfs_port, mount_port;
    fs::path folder, exported;

private:
    static std::string text_of(const std::string &file)
    {
        std::ifstream in(file);
        return std::string(std::istreambuf_iterator<char>(in), {});
    }
    static std::string program()
    {
        for (const char *path : {"/usr/bin/ganesha.nfsd", "/usr/sbin/ganesha.nfsd"})
            if (::access(path, X_OK) == 0) return path;
        return "";
    }

    pid_t pid_ = 0;
};

}  // namespace nfs_fixture
