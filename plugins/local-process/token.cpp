#include "token.hpp"

#include <unistd.h>

#include <litbuild/linux/proc.hpp>
#include <litbuild/token_lines.hpp>

namespace local_process {

using litbuild::Code;
using litbuild::Error;

namespace {
constexpr const char *first_line = "local-process 1";
}

Token Token::of_this_host()
{
    Token out;
    out.host_name = litbuild::linux_::host_name();
    // What is only out of reach for a moment must not be taken for another host.
    const auto needed = [](bool is_read, const char *file) {
        if (!is_read) throw litbuild::os_error(file, "tell this host by it", errno);
    };
    errno = 0;
    out.host = litbuild::linux_::machine_id();
    needed(!out.host.empty() || errno == 0 || errno == ENOENT || errno == EACCES, "/etc/machine-id");
    if (out.host.empty()) out.host = out.host_name;
    out.boot = litbuild::linux_::boot_id();
    needed(!out.boot.empty(), "/proc/sys/kernel/random/boot_id");
    char space[64];
    const ssize_t size = ::readlink("/proc/self/ns/pid", space, sizeof space);
    needed(size > 0, "/proc/self/ns/pid");
    out.pid_namespace.assign(space, static_cast<size_t>(size));
    return out;
}

Token Token::parse(const std::string &text)
{
    Token out;
    litbuild::read_token(text, first_line, [&](std::string_view key, std::string_view value) {
        const auto number = [&] { return litbuild::token_number(value); };
        if (key == "host") out.host = value;
        if (key == "host-name") out.host_name = value;
        if (key == "boot") out.boot = value;
        if (key == "pid-namespace") out.pid_namespace = value;
        if (key == "uuid") out.uuid = value;
        if (key == "cgroup") out.cgroup = value;
        if (key == "group") out.groups.emplace_back(value);
        if (key == "cgroup-inode") out.cgroup_inode = number();
        if (key == "pid") out.pid = static_cast<pid_t>(number());
        if (key == "start") out.start = number();
        if (key == "adopter")
            if (const auto adopter = static_cast<pid_t>(number()); adopter > 0) out.adopters.push_back({adopter, 0});
        if (key == "adopter-start" && !out.adopters.empty()) out.adopters.back().start = number();
        if (key == "surroundings") out.surroundings = number();
        if (key == "user") out.user = static_cast<uid_t>(number());
    });
    // A torn record names nobody, and nobody is signalled on its word.
    if (out.host.empty() || out.boot.empty() || out.pid <= 0 || out.start == 0 || out.uuid.empty())
        throw Error(Code::corrupt, "token: incomplete");
    return out;
}

std::string Token::text() const
{
    litbuild::TokenWriter out(first_line);
    out.add("host", host);
    out.add("host-name", host_name);
    out.add("boot", boot);
    out.add("pid-namespace", pid_namespace);
    out.add("uuid", uuid);
    out.add("cgroup", cgroup);
    out.add("cgroup-inode", cgroup_inode);
    for (const std::string &group : groups) out.add("group", group);
    out.add("pid", static_cast<uint64_t>(pid));
    out.add("start", start);
    for (const Adopter &adopter : adopters) {
        out.add("adopter", static_cast<uint64_t>(adopter.pid));
        out.add("adopter-start", adopter.start);
    }
    out.add("surroundings", surroundings);
    out.add("user", uint64_t{user});
    return std::move(out).text();
}

}  // namespace local_process
