// launch: from a command or a file to a spec, and from a spec to a build.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <boost/json.hpp>

#include <litbuild/linux/descriptor.hpp>

#include "commands.hpp"
#include "text.hpp"

namespace litbuild::cli {
namespace {

namespace json = boost::json;

/// As the engine allows, and one byte more, so that it is the engine who refuses.
constexpr size_t largest_spec = 1024 * 1024 + 1;

std::string read_spec(const std::string &file, const std::string &shown)
{
    const auto fail = [&](int number) {
        throw Error(Code::invalid, shown + ": cannot read the spec: " + std::strerror(number), number);
    };
    linux_::Descriptor opened;
    if (file != "-") {
        opened.reset(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
        if (!opened) fail(errno);
    }
    const int fd = file == "-" ? STDIN_FILENO : opened.get();
    std::string out(largest_spec, '\0');
    size_t size = 0;
    while (size < out.size()) {
        const ssize_t got = ::read(fd, out.data() + size, out.size() - size);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) fail(errno);
        if (got == 0) break;
        size += static_cast<size_t>(got);
    }
    out.resize(size);
    return out;
}

std::string base_name(const std::string &path) { return path.substr(path.rfind('/') + 1); }

void add_options(json::object &spec, const Options &options)
{
    if (options.name) spec["name"] = *options.name;
    if (options.tags.empty()) return;
    json::value &tags = spec.emplace("tags", json::array()).first->value();
    // Else it is the engine who says what is wrong with them.
    if (!tags.is_array()) return;
    for (const std::string &tag : options.tags) tags.as_array().emplace_back(tag);
}

/// The file as it is, with the options in it.
std::string spec_of_file(const Options &options, const std::string &shown)
{
    std::string text = read_spec(*options.spec, shown);
    if (!options.name && options.tags.empty()) return text;
    boost::system::error_code error;
    json::value spec = json::parse(text, error);
    if (error || !spec.is_object()) return text;
    add_options(spec.as_object(), options);
    return json::serialize(spec);
}

std::string spec_of_command(const Options &options)
{
    std::vector<std::string> command = options.words;
    for (const std::string &word : command)
        if (!is_utf8(word)) throw Error(Code::invalid, "command: " + quote(word) + " is not UTF-8");
    std::string &program = command.front();
    const std::string name = base_name(program);
    // The build runs in its own folder; the caller means the one he stands in.
    if (program.find('/') != std::string::npos) program = absolute(program).string();
    json::object step = {{"command", json::value_from(command)}};
    if (!name.empty()) step["name"] = name;
    json::object spec = {{"steps", json::array{std::move(step)}}};
    if (!name.empty()) spec["name"] = name;
    add_options(spec, options);
    return json::serialize(spec);
}

Build launch_file(const Options &options)
{
    const std::string shown = *options.spec == "-" ? "standard input" : options.spec->empty() ? "''" : *options.spec;
    const std::string spec = spec_of_file(options, shown);
    try {
        return open_engine(options).launch(options.team, spec);
    } catch (const Error &e) {
        // The engine calls it "spec"; who wrote it knows it by its file.
        const std::string_view sentence = e.what();
        if (e.code() != Code::invalid || !sentence.starts_with("spec: ")) throw;
        throw Error(e.code(), shown + std::string(sentence.substr(4)), e.os_errno());
    }
}

Build launch_command(const Options &options)
{
    const std::string spec = spec_of_command(options);
    return open_engine(options).launch(options.team, spec);
}

}  // namespace

int launch(const Options &options)
{
    check_team(options.team);
    for (const std::string &tag : options.tags) check_tag(tag);
    if (options.name && !is_utf8(*options.name))
        throw Error(Code::invalid, "--name: " + quote(*options.name) + " is not UTF-8");
    if (options.spec && !options.words.empty())
        throw Error(Code::invalid, "launch: takes either --spec FILE or a command behind '--', not both");
    if (!options.spec && options.words.empty())
        throw Error(Code::invalid, "launch: nothing to run; give --spec FILE or a command behind '--'");

    const Build build = options.spec ? launch_file(options) : launch_command(options);
    if (options.json)
        print(json::serialize(json::object{{"team", build.team()},
                                           {"runid", build.runid()},
                                           {"path", as_utf8(build.path().string())}}) + "\n");
    else
        print(std::to_string(build.runid()) + "\n");
    return Exit::done;
}

}  // namespace litbuild::cli
