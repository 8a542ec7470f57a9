// Where a service listens: a unix socket, or TCP, with TLS or, where it has none, without.
#pragma once

#include <string>
#include <string_view>

#include "fields.hpp"

namespace service {

/// What is spoken to, and how its addresses are written.
struct Kind {
    const char *name;      ///< in sentences: "the container engine"
    const char *where;     ///< where its address stands: "container: engine"
    const char *secure;    ///< scheme of TCP with TLS
    const char *plain;     ///< scheme of TCP without; null: that is not spoken
    const char *example;   ///< of addresses
};

/// Files in PEM. The service's certificate is always checked: against `ca`, and for the host's name.
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
    bool is_secure = false;
    Tls tls;
    const Kind *kind = nullptr;   ///< outlives this

    /// Throws Code::invalid. `kind` is kept by address.
    static Endpoint parse(std::string_view text, const Kind &kind);
    /// The key "tls". Throws Code::invalid.
    void read_tls(const Fields &in);
};

}  // namespace service
