// Where a container engine listens: a unix socket, or TCP with TLS.
#pragma once

#include <string>
#include <string_view>

namespace container {

/// Files in PEM. The engine's certificate is always checked: against `ca`, and for the host's name.
struct Tls {
    std::string ca;     ///< empty: the system's authorities
    std::string cert;   ///< this client's; empty: none
    std::string key;
};

struct Endpoint {
    std::string text;   ///< "unix:///run/docker.sock", "tcp://build7:2376"; starts the sentences of errors
    std::string path;   ///< of the unix socket; empty: TCP
    std::string host;
    std::string port;
    Tls tls;

    /// Throws Code::invalid.
    static Endpoint parse(std::string_view text);
};

}  // namespace container
