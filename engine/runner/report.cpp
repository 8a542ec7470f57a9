#include "report.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>

#include <litbuild/error.hpp>

#include "journal.hpp"

namespace runner {

namespace {

constexpr const char *pipe_name = ".control/report";
constexpr size_t longest_line = 4096;
constexpr size_t largest_pipe = 1024 * 1024;   // that anybody may make it, by default

std::string_view next_word(std::string_view &rest)
{
    while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
    const size_t end = std::min(rest.find(' '), rest.size());
    const std::string_view word = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return word;
}

std::optional<double> number(std::string_view text)
{
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::optional<double> fraction(std::string_view text)
{
    std::optional<double> value;
    const size_t slash = text.find('/');
    if (!text.empty() && text.back() == '%') {
        value = number(text.substr(0, text.size() - 1));
        if (value) *value /= 100;
    } else if (slash != std::string_view::npos) {
        const std::optional<double> part = number(text.substr(0, slash));
        const std::optional<double> whole = number(text.substr(slash + 1));
        if (part && whole && *whole > 0) value = *part / *whole;
    } else {
        value = number(text);
    }
    // Also false for what is not a number.
    if (!value || !(*value >= 0.0 && *value <= 1.0)) return std::nullopt;
    return value;
}

}  // namespace

Report parse_report(std::string_view line)
{
    Report out;
    std::string_view rest = line;
    const std::string_view word = next_word(rest);
    if (word == "step" && rest.find_first_not_of(' ') != std::string_view::npos) {
        out.part = clean(rest, 200);
        return out;
    }
    if (word == "progress") {
        out.progress = fraction(next_word(rest));
        if (out.progress) {
            out.message = clean(rest);
            return out;
        }
    }
    out.message = clean(line);
    return out;
}

ReportPipe::ReportPipe(const std::string &object, int folder) : folder_(folder)
{
    ::unlinkat(folder, pipe_name, 0);
    if (::mkfifoat(folder, pipe_name, 0600) != 0) throw litbuild::os_error(object, "make its report pipe", errno);
    // Open for writing too, so that it never reads as ended and a step's open() never waits.
    pipe_.reset(::openat(folder, pipe_name, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW));
    if (!pipe_) throw litbuild::os_error(object, "open its report pipe", errno);
}

ReportPipe::~ReportPipe()
{
    ::unlinkat(folder_, pipe_name, 0);
}

void ReportPipe::drain(const std::function<void(const Report &)> &each)
{
    char piece[16384];
    // What it holds now; who writes without a pause is not listened to for ever.
    for (size_t most = 0; most < largest_pipe; most += sizeof piece) {
        const ssize_t got = ::read(pipe_.get(), piece, sizeof piece);
        if (got <= 0) return;
        rest_.append(piece, static_cast<size_t>(got));
        size_t at = 0;
        for (size_t end; (end = rest_.find('\n', at)) != std::string::npos; at = end + 1)
            if (end > at) each(parse_report(std::string_view(rest_).substr(at, end - at)));
        rest_.erase(0, at);
        if (rest_.size() > longest_line) rest_.clear();
    }
}

}  // namespace runner
