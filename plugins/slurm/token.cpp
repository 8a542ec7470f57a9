#include "token.hpp"

#include <unistd.h>

#include <litbuild/linux/proc.hpp>
#include <litbuild/token_lines.hpp>

namespace slurm {

using litbuild::Code;
using litbuild::Error;

namespace {

constexpr const char *first_line = "slurm 1";

}  // namespace

Token Token::of_launch(const std::string &uuid, const std::string &folder)
{
    Token out;
    out.uuid = uuid;
    // One that cannot stand in a line is not kept.
    if (folder.find('\n') == std::string::npos) out.folder = folder;
    out.host = litbuild::linux_::host_name();
    out.machine = litbuild::linux_::machine_id();
    out.boot = litbuild::linux_::boot_id();
    out.pid = static_cast<uint64_t>(::getpid());
    const auto stat = litbuild::linux_::stat_of(::getpid());
    out.start = stat ? stat->start : 0;
    return out;
}

bool Token::is_launcher_gone() const
{
    if (host != litbuild::linux_::host_name() || machine != litbuild::linux_::machine_id() || boot.empty()) return false;
    return boot != litbuild::linux_::boot_id() || !litbuild::linux_::hold(static_cast<pid_t>(pid), start);
}

Token Token::parse(const std::string &text)
{
    Token out;
    litbuild::read_token(text, first_line, [&](std::string_view key, std::string_view value) {
        if (key == "uuid") out.uuid = value;
        if (key == "folder") out.folder = value;
        if (key == "cluster") out.cluster = value;
        if (key == "job") out.job = litbuild::token_number(value);
        if (key == "submitted") out.submitted = litbuild::token_number(value);
        if (key == "restarts") out.restarts = litbuild::token_number(value);
        if (key == "host") out.host = value;
        if (key == "machine") out.machine = value;
        if (key == "boot") out.boot = value;
        if (key == "pid") out.pid = litbuild::token_number(value);
        if (key == "start") out.start = litbuild::token_number(value);
    });
    // A torn record names no job, and none is cancelled on its word.
    if (out.uuid.empty()) throw Error(Code::corrupt, "token: incomplete");
    return out;
}

std::string Token::text() const
{
    litbuild::TokenWriter out(first_line);
    out.add("uuid", uuid);
    out.add("folder", folder);
    out.add("cluster", cluster);
    out.add("job", job);
    out.add("submitted", submitted);
    out.add("restarts", restarts);
    if (job == 0) {
        out.add("host", host);
        out.add("machine", machine);
        out.add("boot", boot);
        out.add("pid", pid);
        out.add("start", start);
    }
    return std::move(out).text();
}

}  // namespace slurm
