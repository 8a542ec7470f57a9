// Seeing to it that a launch never runs, whatever becomes of it.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <string_view>

#include <litbuild/linux/descriptor.hpp>
#include <litbuild/linux/proc.hpp>
#include <litbuild/error.hpp>

namespace service {

/// What stands in the file of who gave it up.
inline constexpr std::string_view nobody = "none: ";

/// Whoever creates `.control/runner` is the build's runner, and there is only one. Where this is, none will ever be.
enum class Claim {
    ours,      ///< nothing ran, and nothing will
    given_up,  ///< the same, as somebody has seen to it before
    runners,   ///< a runner has begun, whatever became of it
};
/// `why`: "the launch was given up". Throws where that cannot be told: there is no such folder here, or it cannot be written.
inline Claim claim(const std::string &folder, const std::string &object, const std::string &why)
{
    const std::string control = folder + "/.control";
    ::mkdir(control.c_str(), 0777);
    const std::string runner = control + "/runner";
    const litbuild::linux_::Descriptor file(::open(runner.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666));
    if (file) {
        const std::string word = std::string(nobody) + why + "\n";
        (void)!::write(file.get(), word.data(), word.size());
        return Claim::ours;
    }
    if (errno != EEXIST) throw litbuild::os_error(object, "keep its runner from starting", errno);
    const std::string word = litbuild::linux_::slurp(runner.c_str()).value_or("");
    return word.starts_with(nobody) ? Claim::given_up : Claim::runners;
}

}  // namespace service
