// Locks that are files, for hosts that share nothing but a file server.
//
// A lock is held by who made the name `.NAME.lease`: a file of one's own gets it as a further name, which fails where there
// is one. Its text tells who holds it; its holder writes it anew every third of the lease, and so gives it a new time on the
// server's clock. It is taken away from a holder that is known to be gone (a process of this host), or whose file was seen to
// stay as it is for the whole lease by the observer's own clock, or is older than four leases by the server's. So no two
// hosts' clocks are ever compared. Whoever was stopped for longer than the lease has lost it, and looks before he changes
// what it protects.
#pragma once

#include <condition_variable>
#include <list>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include <litbuild/call.hpp>

#include <nfs/client.hpp>

namespace litbuild::nfs {

/// Threads: any.
class Leases {
public:
    struct Held {
        std::string folder, name;   ///< of the lock
        Node file;
        std::string token;
        Clock::time_point renewed;
        uint64_t sequence = 0;
        bool is_lost = false;
    };
    using Handle = std::list<Held>::iterator;

    Leases(Server &server, std::chrono::milliseconds lease);
    ~Leases();
    Leases(const Leases &) = delete;
    Leases &operator=(const Leases &) = delete;

    /// `.NAME.lease` in a folder. Waits for others until the call ends; throws what Call::check does, with `object`, and
    /// Refusal.
    Handle take(const Call &call, Client &client, const std::string &folder, std::string_view name,
                const std::string &object);
    /// Whether it was not taken away; costs a request.
    bool is_held(Client &client, Handle held);
    /// What cannot be removed now is known to be of nobody: this process, or in time others, take it away.
    void release(const Call &call, Handle held) noexcept;

    static std::string name_of(std::string_view name);

private:
    struct Seen {
        uint64_t inode = 0;
        int64_t modified_ns = 0;
        std::string text;
        Clock::time_point since;
    };
    std::optional<Node> link_own(Client &client, const std::string &folder, const std::string &lock,
                                 const std::string &token);
    static int64_t clock_offset(Client &client, const std::string &folder);
    bool is_over(Client &client, const std::string &key, const Node &found, int64_t server_ns);
    bool is_ours(const std::string &token);
    void take_away(Client &client, const std::string &folder, const std::string &lock, const Node &found);
    std::string text_of(const std::string &token, uint64_t sequence) const;
    void start();
    void renew_all() noexcept;

    Server &server_;
    const std::chrono::milliseconds lease_;
    const std::string instance_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::list<Held> held_;
    std::map<std::string, Seen> seen_;   // what others hold, by folder and name
    std::thread renewal_;
    pid_t process_ = 0;                  // whose thread it is
    bool is_ending_ = false;
    Canceller cancel_;
};

}  // namespace litbuild::nfs
