#include "connect.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>

#include <condition_variable>
#include <mutex>
#include <vector>

#include <litbuild/linux/signals.hpp>

#include "http.hpp"
#include "stream.hpp"

namespace service {

using litbuild::Call;
using litbuild::Code;
using litbuild::Error;
using litbuild::linux_::Descriptor;

void wait_for(const Call &call, const std::string &object, int socket, short events)
{
    for (;;) {
        call.check(object);
        // Who can only be asked whether he is cancelled is asked ten times a second.
        const auto slice = call.cancel_fd() < 0 ? std::chrono::milliseconds(100) : std::chrono::milliseconds(3'600'000);
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(call.left(slice));
        pollfd wait[2] = {{socket, events, 0}, {call.cancel_fd(), POLLIN, 0}};
        const int ready = ::poll(wait, 2, static_cast<int>(std::min(left, slice).count()));
        if (ready < 0 && errno != EINTR) throw litbuild::os_error(object, "wait for it", errno);
        if (ready > 0 && wait[0].revents != 0) return;
    }
}

namespace {

[[noreturn]] void fail(const Endpoint &endpoint, int error)
{
    const std::string &object = endpoint.text;
    if (error == EACCES || error == EPERM)
        throw Error(Code::denied, object + ": this user may not use the socket (Permission denied)", error);
    if (error == ENOENT)
        throw NotReached(Code::unavailable, object + ": there is no such socket; does " + endpoint.kind->name + " run?", error);
    const Error told = litbuild::os_error(object, std::string("reach ") + endpoint.kind->name, error);
    throw NotReached(Code::unavailable, told.what(), error);
}

/// Longer paths than a socket's address holds are reached through their folder.
Descriptor connect_unix(const Call &call, const Endpoint &endpoint)
{
    std::string path = endpoint.path;
    Descriptor folder;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
        const size_t slash = path.rfind('/');
        folder.reset(::open(path.substr(0, slash + 1).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
        if (!folder) fail(endpoint, errno);
        path = "/proc/self/fd/" + std::to_string(folder.get()) + path.substr(slash);
        if (path.size() >= sizeof address.sun_path)
            throw Error(Code::invalid, endpoint.text + ": its file name is too long for a socket");
    }
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    for (;;) {
        Descriptor out(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (!out) throw litbuild::os_error(endpoint.text, "make a socket", errno);
        if (::connect(out.get(), reinterpret_cast<const sockaddr *>(&address), sizeof address) == 0) return out;
        // EAGAIN: more are waiting to be let in than it takes.
        if (errno != EAGAIN && errno != EINTR) fail(endpoint, errno);
        call.check(endpoint.text);
        ::poll(nullptr, 0, 5);
    }
}

struct Names {
    std::mutex mutex;
    std::condition_variable found;
    bool done = false;
    int error = 0;
    std::vector<sockaddr_storage> addresses;
};

/// A name server that does not answer holds up its thread, and not the call.
std::vector<sockaddr_storage> resolve(const Call &call, const Endpoint &endpoint)
{
    const auto names = std::make_shared<Names>();
    litbuild::linux_::quiet_thread([names, host = endpoint.host, port = endpoint.port] {
        addrinfo wanted{};
        wanted.ai_socktype = SOCK_STREAM;
        addrinfo *list = nullptr;
        const int error = ::getaddrinfo(host.c_str(), port.c_str(), &wanted, &list);
        const std::lock_guard lock(names->mutex);
        for (const addrinfo *each = list; error == 0 && each; each = each->ai_next) {
            sockaddr_storage address{};
            std::memcpy(&address, each->ai_addr, each->ai_addrlen);
            names->addresses.push_back(address);
        }
        if (error == 0) ::freeaddrinfo(list);
        names->error = error;
        names->done = true;
        names->found.notify_all();
    }).detach();
    std::unique_lock lock(names->mutex);
    while (!names->done) {
        call.check(endpoint.text);
        names->found.wait_for(lock, std::min<litbuild::Clock::duration>(call.left(std::chrono::milliseconds(50)),
                                                                        std::chrono::milliseconds(50)));
    }
    if (names->error != 0)
        throw NotReached(Code::unavailable, endpoint.text + ": the host is not known: " + ::gai_strerror(names->error));
    return names->addresses;
}

Descriptor connect_tcp(const Call &call, const Endpoint &endpoint)
{
    int last = EADDRNOTAVAIL;
    for (const sockaddr_storage &address : resolve(call, endpoint)) {
        Descriptor out(::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (!out) throw litbuild::os_error(endpoint.text, "make a socket", errno);
        const int one = 1;
        ::setsockopt(out.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        ::setsockopt(out.get(), SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
        const socklen_t size = address.ss_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
        int error = ::connect(out.get(), reinterpret_cast<const sockaddr *>(&address), size) == 0 ? 0 : errno;
        if (error == EINPROGRESS) {
            wait_for(call, endpoint.text, out.get(), POLLOUT);
            socklen_t length = sizeof error;
            ::getsockopt(out.get(), SOL_SOCKET, SO_ERROR, &error, &length);
        }
        if (error == 0) return out;
        last = error;
    }
    fail(endpoint, last);
}

}  // namespace

Descriptor connect(const Call &call, const Endpoint &endpoint)
{
    return endpoint.path.empty() ? connect_tcp(call, endpoint) : connect_unix(call, endpoint);
}

}  // namespace service
