// Several hosts over one file server: guests of User Mode Linux, each on a wire of its own to nfs-ganesha, which runs here, in
// a network that nobody else sees.
#pragma once

#include <sched.h>
#include <sys/mount.h>

#include <cstdlib>

#include "guest.hpp"

namespace uml {

/// Runs a command of the shell. Throws std::runtime_error where it fails.
inline void shell(const std::string &command)
{
    if (std::system(command.c_str()) != 0) throw std::runtime_error(command);
}

/// From here on this process and its children have a network of their own. Empty: done; else why it cannot be.
inline std::string own_network()
{
    if (::access("/dev/net/tun", R_OK | W_OK) != 0) return "there is no /dev/net/tun that may be used";
    if (::unshare(CLONE_NEWNET) != 0) return "this process may not make a network of its own";
    shell("ip link set lo up");
    return "";
}

class Server {
public:
    /// Serves a new folder in `place`, which has to be on a file system that servers can work with. Throws.
    explicit Server(const fs::path &place, const fs::path &work) : folder_(place / "export"), work_(work)
    {
        fs::create_directories(folder_);
        fs::create_directories(work_ / "recovery");
        std::ofstream(work_ / "ganesha.conf")
            << "NFS_CORE_PARAM { NFS_Port = 20490; MNT_Port = 20491; Protocols = 3, 4; Enable_NLM = false; "
               "Enable_RQUOTA = false; Enable_UDP = false; }\n"
               "NFSV4 { Graceless = true; Lease_Lifetime = 60; Grace_Period = 5; RecoveryBackend = fs; "
               "Only_Numeric_Owners = true; RecoveryRoot = "
            << (work_ / "recovery").string()
            << "; }\nNFS_KRB5 { Active_krb5 = false; }\nLOG { Default_Log_Level = EVENT; }\nEXPORT { Export_Id = 1; Path = "
            << folder_.string()
            << "; Pseudo = /export; Access_Type = RW; Squash = No_Root_Squash; SecType = sys; Protocols = 3, 4; Transports = "
               "TCP; Attr_Expiration_Time = 0; FSAL { Name = VFS; } }\n";
        start();
    }
    ~Server() { kill(); }
    Server(const Server &) = delete;
    Server &operator=(const Server &) = delete;

    void start()
    {
        pid_ = ::fork();
        if (pid_ == 0) {
            ::setenv("LD_PRELOAD", (helpers() / "no_portmapper.so").c_str(), 1);
            const int none = ::open("/dev/null", O_RDWR);
            for (const int fd : {0, 1, 2}) ::dup2(none, fd);
            ::closefrom(3);
            ::execl("/usr/bin/ganesha.nfsd", "ganesha.nfsd", "-F", "-f", (work_ / "ganesha.conf").c_str(), "-L",
                    (work_ / "ganesha.log").c_str(), "-p", (work_ / "ganesha.pid").c_str(), nullptr);
            ::_exit(127);
        }
        for (int i = 0; i < 600; ++i) {
            if (std::system("ss -ltn | grep -q ':20490'") == 0) return;
            if (::waitpid(pid_, nullptr, WNOHANG) == pid_) break;
            ::poll(nullptr, 0, 50);
        }
        std::ifstream log(work_ / "ganesha.log");
        throw std::runtime_error("ganesha did not start: " + std::string(std::istreambuf_iterator<char>(log), {}));
    }
    /// At once, as by a power cut.
    void kill()
    {
        if (pid_ <= 0) return;
        ::kill(pid_, SIGCONT);
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        pid_ = 0;
    }
    void freeze() const { ::kill(pid_, SIGSTOP); }
    void thaw() const { ::kill(pid_, SIGCONT); }
    /// What it serves, as it is on its disk.
    const fs::path &folder() const { return folder_; }

private:
    fs::path folder_, work_;
    pid_t pid_ = 0;
};

/// A guest on a wire to this host, with the server's export mounted at /run/data as NFS `version`. `number`: 1 to 200.
class HostOf : public Guest {
public:
    HostOf(const Server &server, const fs::path &work, const std::string &name, int number, const std::string &version)
        : Guest(work / name, name, setup(server, number, version), {wire(number)})
    {
    }
    /// With the program of this project in PATH, and its root set.
    Result call(const std::string &script, std::chrono::milliseconds limit = std::chrono::seconds(60))
    {
        return run(prefix() + script, limit);
    }
    int begin(const std::string &script) { return start(prefix() + script); }

private:
    static std::string prefix()
    {
        return environment() + "PATH=$LITBUILD_BIN_DIR:$PATH; export LITBUILD_ROOT=/run/data\n"
                               "[ -e /run/config.json ] && export LITBUILD_CONFIG=/run/config.json\n";
    }
    static std::string wire(int number)
    {
        const std::string tap = "tap" + std::to_string(number), net = "10.77." + std::to_string(number);
        shell("ip tuntap add dev " + tap + " mode tap && ip addr add " + net + ".1/24 dev " + tap + " && ip link set " + tap +
              " up");
        return "vec0:transport=tap,ifname=" + tap + ",depth=64,gro=0";
    }
    static std::string setup(const Server &server, int number, const std::string &version)
    {
        const std::string net = "10.77." + std::to_string(number), here = net + ".2", there = net + ".1";
        const std::string what = version == "3" ? server.folder().string() : "/export";
        return environment() + ". $UML/client.sh\nip addr add " + here + "/24 dev vec0 && ip link set vec0 up && client=" + here +
               " mount_nfs " + version + " " + there + " " + quoted(what) + " /run/data\n";
    }
};

}  // namespace uml
