#include "token.hpp"

#include <sys/utsname.h>

#include <sstream>

#include <litbuild/error.hpp>
#include <litbuild/linux/proc.hpp>

namespace local_process {

using litbuild::Code;
using litbuild::Error;

namespace {
constexpr const char *first_line = "local-process 1";
}

Token Token::of_this_host()
{
    Token out;
    utsname names{};
    ::uname(&names);
    out.host_name = names.nodename;
    out.host = litbuild::linux_::line_of("/etc/machine-id");
    if (out.host.empty()) out.host = out.host_name;
    out.boot = litbuild::linux_::boot_id();
    char space[64];
    const ssize_t size = ::readlink("/proc/self/ns/pid", space, sizeof space);
    if (size > 0) out.pid_namespace.assign(space, static_cast<size_t>(size));
    return out;
}

Token Token::parse(const std::string &text)
{
    std::istringstream lines(text);
    std::string line;
    std::getline(lines, line);
    if (line != first_line)
        throw Error(Code::corrupt, "token: not of local-process (starts with '" + line.substr(0, 40) + "')");
    Token out;
    while (std::getline(lines, line)) {
        const size_t space = line.find(' ');
        if (space == std::string::npos) continue;
        const std::string key = line.substr(0, space);
        const std::string value = line.substr(space + 1);
        const auto number = [&] {
            uint64_t parsed = 0;
            std::from_chars(value.data(), value.data() + value.size(), parsed);
            return parsed;
        };
        if (key == "host") out.host = value;
        if (key == "host-name") out.host_name = value;
        if (key == "boot") out.boot = value;
        if (key == "pid-namespace") out.pid_namespace = value;
        if (key == "uuid") out.uuid = value;
        if (key == "cgroup") out.cgroup = value;
        if (key == "group") out.groups.push_back(value);
        if (key == "cgroup-inode") out.cgroup_inode = number();
        if (key == "pid") out.pid = static_cast<pid_t>(number());
        if (key == "start") out.start = number();
        if (key == "adopter") out.adopter = static_cast<pid_t>(number());
        if (key == "adopter-start") out.adopter_start = number();
        if (key == "surroundings") out.surroundings = number();
        if (key == "user") out.user = static_cast<uid_t>(number());
    }
    // A torn record names nobody, and nobody is signalled on its word.
    if (out.host.empty() || out.boot.empty() || out.pid <= 0 || out.start == 0 || out.uuid.empty())
        throw Error(Code::corrupt, "token: incomplete");
    return out;
}

std::string Token::text() const
{
    std::string out = std::string(first_line) + "\n";
    const auto add = [&](const char *key, const std::string &value) {
        if (!value.empty()) out += std::string(key) + " " + value + "\n";
    };
    const auto add_number = [&](const char *key, uint64_t value) {
        if (value != 0) add(key, std::to_string(value));
    };
    add("host", host);
    add("host-name", host_name);
    add("boot", boot);
    add("pid-namespace", pid_namespace);
    add("uuid", uuid);
    add("cgroup", cgroup);
    add_number("cgroup-inode", cgroup_inode);
    for (const std::string &group : groups) add("group", group);
    add_number("pid", static_cast<uint64_t>(pid));
    add_number("start", start);
    add_number("adopter", static_cast<uint64_t>(adopter));
    add_number("adopter-start", adopter_start);
    add_number("surroundings", surroundings);
    add_number("user", user);
    return out;
}

}  // namespace local_process
