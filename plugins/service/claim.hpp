// Seeing to it that a launch never runs, whatever becomes of it.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <string_view>

#include <litbuild/linux/descriptor.hpp>
#include <litbuild/error.hpp>

namespace service {

/// What stands in the file of who gave it up.
inline constexpr std::string_view given_up = "none: ";

/// Whoever creates `.control/runner` is the build's runner, and there is only one. Where this is, none will ever be. `why`:
/// "the launch was given up".
enum class Claim { ours, runners };
inline Claim claim(const std::string &folder, const std::string &object, const std::string &why)
{
    const std::string control = folder + "/.control";
    ::mkdir(control.c_str(), 0777);
    const std::string runner = control + "/runner";
    const litbuild::linux_::Descriptor file(::open(runner.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666));
    if (!file && errno != EEXIST) throw litbuild::os_error(object, "keep its runner from starting", errno);
    if (!file) return Claim::runners;
    const std::string word = std::string(given_up) + why + "\n";
    (void)!::write(file.get(), word.data(), word.size());
    return Claim::ours;
}

}  // namespace service
