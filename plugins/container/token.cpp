#include "token.hpp"

#include <litbuild/token_lines.hpp>

namespace container {

using litbuild::Code;
using litbuild::Error;

namespace {
constexpr const char *first_line = "container 1";
}

Token Token::parse(const std::string &text)
{
    Token out;
    litbuild::read_token(text, first_line, [&](std::string_view key, std::string_view value) {
        if (key == "engine") out.engine = value;
        if (key == "uuid") out.uuid = value;
        if (key == "name") out.name = value;
        if (key == "id") out.id = value;
        if (key == "started") out.started = value;
        if (key == "kept-in") out.kept_in = value;
    });
    // A torn record names no container, and none is signalled on its word.
    if (out.engine.empty() || out.uuid.empty()) throw Error(Code::corrupt, "token: incomplete");
    return out;
}

std::string Token::text() const
{
    litbuild::TokenWriter out(first_line);
    out.add("engine", engine);
    out.add("uuid", uuid);
    out.add("name", name);
    out.add("id", id);
    out.add("started", started);
    out.add("kept-in", kept_in);
    return std::move(out).text();
}

}  // namespace container
