// A file that holds a file system, mounted through a loop device; both go with the object.
#pragma once

#include <linux/loop.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <fstream>
#include <iterator>

#include <power/disks.hpp>

namespace power {

/// A loop device over the file. It is let go of when the last who holds it does, be it a mount.
inline Descriptor loop_over(int file, std::string &name)
{
    const Descriptor control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
    must(static_cast<bool>(control), "/dev/loop-control");
    for (int i = 0; i < 100; ++i) {
        const int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
        must(number >= 0, "a free loop device");
        name = "/dev/loop" + std::to_string(number);
        if (::access(name.c_str(), F_OK) != 0)
            ::mknod(name.c_str(), S_IFBLK | 0600, ::makedev(7, static_cast<unsigned>(number)));
        Descriptor device(::open(name.c_str(), O_RDWR | O_CLOEXEC));
        must(static_cast<bool>(device), name);
        loop_config config{};
        config.fd = static_cast<uint32_t>(file);
        config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
        if (::ioctl(device.get(), LOOP_CONFIGURE, &config) == 0) return device;
        must(errno == EBUSY, "set up " + name);   // somebody else took it
    }
    throw std::runtime_error("loop devices: always somebody else's");
}

class Mounted {
public:
    /// Where the kernel does not want to mount it, failure() says why.
    Mounted(int file, std::string type, fs::path at) : at_(std::move(at))
    {
        std::string name;
        const Descriptor device = loop_over(file, name);
        // A second mount of the same xfs would be refused for its uuid; there never is one, but an old one may linger.
        const char *options = type == "xfs" ? "nouuid" : "";
        if (::mount(name.c_str(), at_.c_str(), type.c_str(), MS_NOATIME, options) != 0) failure_ = errno;
    }
    ~Mounted() { release(); }
    Mounted(const Mounted &) = delete;
    Mounted &operator=(const Mounted &) = delete;

    /// 0: it is mounted.
    int failure() const noexcept { return failure_; }
    void release() noexcept
    {
        if (failure_ == 0 && ::umount2(at_.c_str(), 0) != 0) ::umount2(at_.c_str(), MNT_DETACH);
        failure_ = ENODEV;
    }

private:
    fs::path at_;
    int failure_ = 0;
};

/// What keeps this process from all this; empty: nothing.
inline std::string obstacle(const std::string &type)
{
    if (::geteuid() != 0) return "only root can mount";
    if (!Descriptor(::open("/dev/fuse", O_RDWR | O_CLOEXEC))) return "no /dev/fuse";
    const Descriptor control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
    if (!control || ::ioctl(control.get(), LOOP_CTL_GET_FREE) < 0) return "no loop devices";
    std::ifstream known("/proc/filesystems");
    const std::string all((std::istreambuf_iterator<char>(known)), {});
    if (all.find("\t" + type + "\n") == std::string::npos) return "the kernel has no " + type;
    bool has_program = false;
    for (const char *folder : {"/sbin/", "/usr/sbin/", "/bin/", "/usr/bin/"})
        has_program = has_program || ::access((folder + ("mkfs." + type)).c_str(), X_OK) == 0;
    if (!has_program) return "no mkfs." + type;
    const pid_t child = ::fork();
    if (child == 0)
        ::_exit(::unshare(CLONE_NEWNS) == 0 && ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 ? 0 : 1);
    int status = 1;
    ::waitpid(child, &status, 0);
    return status == 0 ? "" : "this process may not mount";
}

}  // namespace power
