#include "endpoint.hpp"

#include <litbuild/names.hpp>

namespace service {

using litbuild::Code;
using litbuild::Error;

Endpoint Endpoint::parse(std::string_view text, const Kind &kind)
{
    const auto refuse = [&](const std::string &why) -> Error {
        return Error(Code::invalid, kind.where + (" " + litbuild::quote(text)) + ": " + why + "; it is such as " + kind.example);
    };
    Endpoint out;
    out.text = text;
    out.kind = &kind;
    for (const char c : text)
        if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f) throw refuse("contains a space or a control character");
    if (text.starts_with("unix://")) {
        out.path = text.substr(7);
        if (out.path.empty() || out.path.front() != '/') throw refuse("names no absolute path");
        return out;
    }
    const std::string secure = std::string(kind.secure) + "://", plain = kind.plain ? std::string(kind.plain) + "://" : "";
    out.is_secure = text.starts_with(secure);
    if (!out.is_secure && (plain.empty() || !text.starts_with(plain)))
        throw refuse(plain.empty() ? "starts with neither unix:// nor " + secure
                                   : "starts with none of unix://, " + secure + " and " + plain);
    std::string_view rest = text.substr(out.is_secure ? secure.size() : plain.size());
    const size_t colon = rest.rfind(':');
    if (colon == std::string_view::npos || colon == 0 || colon + 1 == rest.size()) throw refuse("names no host and port");
    out.port = rest.substr(colon + 1);
    if (out.port.find_first_not_of("0123456789") != std::string::npos) throw refuse("has no number as its port");
    rest = rest.substr(0, colon);
    if (rest.front() == '[' && rest.back() == ']') rest = rest.substr(1, rest.size() - 2);
    out.host = rest;
    return out;
}

void Endpoint::read_tls(const Fields &in)
{
    const boost::json::value *found = in.find("tls");
    if (!found) return;
    const Fields from(*found, in.where() + ": tls");
    from.allow({"ca", "cert", "key"});
    if (!is_secure) from.fail(std::string("is for ") + kind->name + " at " + kind->secure + "://");
    tls = {from.text("ca", ""), from.text("cert", ""), from.text("key", "")};
    if (tls.cert.empty() != tls.key.empty()) from.fail("'cert' and 'key' go together");
}

}  // namespace service
