// What steps tell of themselves: lines written to the path in LITBUILD_REPORT, a named pipe in the build's folder.
//   progress 40%  |  progress 0.4  |  progress 2/5   and then, if they like, a message
//   step NAME                                        begins a named part of the current step, and ends the one before
// A line that is neither is a message. A write of up to 4096 bytes arrives whole, from any number of writers.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <litbuild/linux/descriptor.hpp>

namespace runner {

struct Report {
    std::optional<std::string> part;     ///< name of the part that begins
    std::optional<double> progress;      ///< 0 to 1
    std::string message;
};

Report parse_report(std::string_view line);

class ReportPipe {
public:
    /// Makes `.control/report` in the folder. Throws litbuild::Error.
    ReportPipe(const std::string &object, int folder);
    ~ReportPipe();
    ReportPipe(const ReportPipe &) = delete;
    ReportPipe &operator=(const ReportPipe &) = delete;

    int fd() const noexcept { return pipe_.get(); }
    /// Reads what is there, at most a few pages of it, and gives each whole line.
    void drain(const std::function<void(const Report &)> &each);

private:
    int folder_;
    litbuild::linux_::Descriptor pipe_;
    std::string rest_;
};

}  // namespace runner
