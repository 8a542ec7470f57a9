// Seeing to it that a launch whose outcome is not known never runs.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <litbuild/linux/descriptor.hpp>
#include <litbuild/process.hpp>

namespace service {

/// Whoever creates `.control/runner` is the build's runner, and there is only one. Where this is, none will ever be.
enum class Claim { ours, runners };
inline Claim claim(const litbuild::LaunchSpec &spec)
{
    const std::string control = spec.folder + "/.control";
    ::mkdir(control.c_str(), 0777);
    const std::string runner = control + "/runner";
    const litbuild::linux_::Descriptor file(::open(runner.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666));
    if (!file && errno != EEXIST) throw litbuild::os_error(to_string(spec.build), "keep its runner from starting", errno);
    if (!file) return Claim::runners;
    constexpr std::string_view word = "none: the launch was given up\n";
    (void)!::write(file.get(), word.data(), word.size());
    return Claim::ours;
}

}  // namespace service
