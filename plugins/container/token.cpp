#include "token.hpp"

#include <sstream>

#include <litbuild/names.hpp>

namespace container {

using litbuild::Code;
using litbuild::Error;

namespace {
constexpr const char *first_line = "container 1";
}

Token Token::parse(const std::string &text)
{
    std::istringstream lines(text);
    std::string line;
    std::getline(lines, line);
    if (line != first_line)
        throw Error(Code::corrupt, "token: not of container (starts with " + litbuild::quote(line.substr(0, 40)) + ")");
    Token out;
    while (std::getline(lines, line)) {
        const size_t space = line.find(' ');
        if (space == std::string::npos) continue;
        const std::string key = line.substr(0, space);
        const std::string value = line.substr(space + 1);
        if (key == "engine") out.engine = value;
        if (key == "uuid") out.uuid = value;
        if (key == "name") out.name = value;
        if (key == "id") out.id = value;
        if (key == "started") out.started = value;
        if (key == "kept-in") out.kept_in = value;
    }
    // A torn record names no container, and none is signalled on its word.
    if (out.engine.empty() || out.uuid.empty()) throw Error(Code::corrupt, "token: incomplete");
    return out;
}

std::string Token::text() const
{
    std::string out = std::string(first_line) + "\n";
    const auto add = [&](const char *key, const std::string &value) {
        if (!value.empty()) out += std::string(key) + " " + value + "\n";
    };
    add("engine", engine);
    add("uuid", uuid);
    add("name", name);
    add("id", id);
    add("started", started);
    add("kept-in", kept_in);
    return out;
}

}  // namespace container
