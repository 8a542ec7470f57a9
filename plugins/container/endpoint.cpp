#include "endpoint.hpp"

#include <litbuild/names.hpp>

namespace container {

using litbuild::Code;
using litbuild::Error;

Endpoint Endpoint::parse(std::string_view text)
{
    const auto refuse = [&](const char *why) -> Error {
        return Error(Code::invalid, "container: engine " + litbuild::quote(text) + ": " + why +
                                        R"(; it is such as "unix:///run/docker.sock" or "tcp://build7:2376")");
    };
    Endpoint out;
    out.text = text;
    for (const char c : text)
        if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f) throw refuse("contains a space or a control character");
    if (text.starts_with("unix://")) {
        out.path = text.substr(7);
        if (out.path.empty() || out.path.front() != '/') throw refuse("names no absolute path");
        return out;
    }
    if (!text.starts_with("tcp://")) throw refuse("starts with neither unix:// nor tcp://");
    std::string_view rest = text.substr(6);
    const size_t colon = rest.rfind(':');
    if (colon == std::string_view::npos || colon == 0 || colon + 1 == rest.size()) throw refuse("names no host and port");
    out.port = rest.substr(colon + 1);
    if (out.port.find_first_not_of("0123456789") != std::string::npos) throw refuse("has no number as its port");
    rest = rest.substr(0, colon);
    if (rest.front() == '[' && rest.back() == ']') rest = rest.substr(1, rest.size() - 2);
    out.host = rest;
    return out;
}

}  // namespace container
