// One request to a service, over HTTP.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <litbuild/call.hpp>

#include "endpoint.hpp"

namespace service {

/// The service could not be asked, or did not answer to the end: whether it did what it was asked for is not known.
class Unreachable : public litbuild::Error {
public:
    using Error::Error;
};
/// There was nobody to ask: nothing was sent.
class NotReached final : public Unreachable {
public:
    using Unreachable::Unreachable;
};

enum class Verb { get, post, remove };
using Headers = std::vector<std::pair<std::string, std::string>>;

struct Answer {
    unsigned status = 0;
    std::string body;
    std::string api_version;   ///< header Api-Version; empty: none
    std::string server;        ///< header Server
};

/// Threads: any. Each request has a connection of its own.
class Http {
public:
    /// Reads the files of TLS. Throws where they are no good. `most_answer`: bytes.
    explicit Http(Endpoint endpoint, uint64_t most_answer = 64 * 1024 * 1024);
    ~Http();

    const std::string &object() const noexcept { return endpoint_.text; }
    /// `body` is JSON; empty: none. Throws Unreachable, Code::denied where the socket may not be used, or what
    /// Call::check throws.
    Answer ask(const litbuild::Call &call, Verb verb, const std::string &target, const std::string &body = "",
               const Headers &headers = {}) const;

private:
    struct Secure;

    Endpoint endpoint_;
    uint64_t most_answer_;
    std::unique_ptr<Secure> secure_;   ///< null: no TLS
};

}  // namespace service
