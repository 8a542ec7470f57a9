// Stands between a client and a server of NFS and does to their calls what a bad network does. It knows the frames of RPC over
// TCP (RFC 5531), and so can tell one call from another.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace nfs_fixture {

/// Whether a procedure of NFS version 3 changes something.
inline bool is_change(uint32_t procedure)
{
    constexpr uint32_t setattr = 2, write = 7, link = 15;
    return procedure == setattr || (procedure >= write && procedure <= link);
}

class Proxy {
public:
    enum class Fault {
        none,
        delay,           ///< the call gets to the server 300 ms later
        drop_answer,     ///< the call is done, its answer is lost
        repeat,          ///< the call is done twice, the first answer comes through
        repeat_answer,   ///< the call is done twice, the second answer comes through
    };
    /// What is to happen to a call. Called before it is passed on; calls are counted from 0, over all connections.
    using Judge = std::function<Fault(uint64_t number, uint32_t procedure)>;

    explicit Proxy(int target) : target_(target), stop_(::eventfd(0, EFD_CLOEXEC))
    {
        listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address = loopback(0);
        socklen_t size = sizeof address;
        if (::bind(listener_, reinterpret_cast<sockaddr *>(&address), size) != 0 || ::listen(listener_, 64) != 0 ||
            ::getsockname(listener_, reinterpret_cast<sockaddr *>(&address), &size) != 0)
            throw std::runtime_error("proxy: cannot listen");
        port = ntohs(address.sin_port);
        accepting_ = std::thread([this] { accept_all(); });
    }
    ~Proxy()
    {
        const uint64_t one = 1;
        (void)!::write(stop_, &one, sizeof one);
        accepting_.join();
        for (std::thread &each : connections_) each.join();
        ::close(listener_);
        ::close(stop_);
    }
    Proxy(const Proxy &) = delete;
    Proxy &operator=(const Proxy &) = delete;

    void judge(Judge judge)
    {
        const std::lock_guard guard(mutex_);
        judge_ = std::move(judge);
        calls_ = 0;
        faults_ = 0;
    }
    /// Since judge() was called last.
    uint64_t calls() const { return calls_; }
    uint64_t faults() const { return faults_; }

    int port = 0;

private:
    static sockaddr_in loopback(int port)
    {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(static_cast<uint16_t>(port));
        return address;
    }
    static uint32_t word(const std::string &record, size_t index)
    {
        uint32_t out = 0;
        if (record.size() >= (index + 1) * 4) std::memcpy(&out, record.data() + index * 4, 4);
        return ntohl(out);
    }
    static std::string with_xid(std::string record, uint32_t xid)
    {
        xid = htonl(xid);
        std::memcpy(record.data() + 4, &xid, 4);
        return record;
    }
    static bool send_all(int socket, const std::string &bytes)
    {
        for (size_t at = 0; at < bytes.size();) {
            const ssize_t put = ::send(socket, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
            if (put <= 0) return false;
            at += static_cast<size_t>(put);
        }
        return true;
    }
    // Takes whole records, each with its mark, out of what has come.
    static std::vector<std::string> records(std::string &bytes)
    {
        std::vector<std::string> out;
        for (;;) {
            if (bytes.size() < 4) return out;
            const size_t size = (word(bytes, 0) & 0x7fffffff) + 4;
            if (bytes.size() < size) return out;
            out.push_back(bytes.substr(0, size));
            bytes.erase(0, size);
        }
    }

    void accept_all()
    {
        for (;;) {
            std::array<pollfd, 2> items = {pollfd{listener_, POLLIN, 0}, pollfd{stop_, POLLIN, 0}};
            ::poll(items.data(), items.size(), -1);
            if (items[1].revents) return;
            const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
            if (client >= 0) connections_.emplace_back([this, client] { serve(client); });
        }
    }

    void serve(int client)
    {
        const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const sockaddr_in address = loopback(target_);
        if (::connect(server, reinterpret_cast<const sockaddr *>(&address), sizeof address) == 0) {
            const int one = 1;
            ::setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            ::setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            pass(client, server);
        }
        ::close(client);
        ::close(server);
    }

    void pass(int client, int server)
    {
        constexpr uint32_t twin = 0x80000000;
        std::string from_client, from_server;
        std::map<uint32_t, Fault> watched;            // what happens to an answer, by xid
        std::map<uint32_t, std::string> to_be_repeated;
        std::vector<char> piece(1 << 20);
        for (;;) {
            std::array<pollfd, 3> items = {pollfd{client, POLLIN, 0}, pollfd{server, POLLIN, 0}, pollfd{stop_, POLLIN, 0}};
            ::poll(items.data(), items.size(), -1);
            if (items[2].revents) return;
            if (items[0].revents) {
                const ssize_t got = ::recv(client, piece.data(), piece.size(), 0);
                if (got <= 0) return;
                from_client.append(piece.data(), static_cast<size_t>(got));
                for (const std::string &call : records(from_client)) {
                    const uint32_t xid = word(call, 1);
                    // The mark, xid, call, RPC version, program, version, procedure.
                    const Fault fault = word(call, 4) == 100003 ? ask(word(call, 6)) : Fault::none;
                    if (fault == Fault::delay) std::this_thread::sleep_for(std::chrono::milliseconds(300));
                    if (fault == Fault::drop_answer || fault == Fault::repeat || fault == Fault::repeat_answer) {
                        watched[xid] = fault;
                        to_be_repeated[xid] = call;
                    }
                    if (!send_all(server, call)) return;
                }
            }
            if (items[1].revents) {
                const ssize_t got = ::recv(server, piece.data(), piece.size(), 0);
                if (got <= 0) return;
                from_server.append(piece.data(), static_cast<size_t>(got));
                for (const std::string &answer : records(from_server)) {
                    const uint32_t xid = word(answer, 1);
                    const auto found = watched.find(xid & ~twin);
                    const bool is_second = found != watched.end() && (xid & twin) != 0;
                    const Fault fault = found == watched.end() ? Fault::none : found->second;
                    bool is_passed_on = true;
                    if (is_second) {
                        is_passed_on = fault == Fault::repeat_answer;
                        watched.erase(found);
                        if (is_passed_on && !send_all(client, with_xid(answer, xid & ~twin))) return;
                        continue;
                    }
                    if (fault == Fault::drop_answer) is_passed_on = false, watched.erase(found);
                    if (fault == Fault::repeat || fault == Fault::repeat_answer) {
                        is_passed_on = fault == Fault::repeat;
                        // With another xid, so that no cache of answers knows it: as over another connection.
                        if (!send_all(server, with_xid(to_be_repeated[xid], xid | twin))) return;
                    }
                    if (is_passed_on && !send_all(client, answer)) return;
                }
            }
        }
    }

    Fault ask(uint32_t procedure)
    {
        const std::lock_guard guard(mutex_);
        const uint64_t number = calls_++;
        const Fault fault = judge_ ? judge_(number, procedure) : Fault::none;
        if (fault != Fault::none) ++faults_;
        return fault;
    }

    const int target_;
    int listener_ = -1, stop_ = -1;
    std::mutex mutex_;
    Judge judge_;
    std::atomic<uint64_t> calls_{0}, faults_{0};
    std::thread accepting_;
    std::vector<std::thread> connections_;
};

}  // namespace nfs_fixture
