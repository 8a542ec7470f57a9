// Locks that are files, for hosts that share nothing but a file server.
//
// A lock is held by who made the name `.NAME.lease`: a file of one's own gets it as a further name, which fails where there
// is one. Its text tells who holds it; its holder writes it anew every third of the lease, and so gives it a new time on the
// server's clock. It is taken away from a holder that is known to be gone (a process of this host), or whose file was seen to
// stay as it is for the whole lease by the observer's own clock, or is older than four leases by the server's. So no two
// hosts' clocks are ever compared. Who heard nothing of his own for the whole lease, for he or the server stood still, writes
// it anew and looks whether it is still his, before he changes what it protects.

#pragma once

#include <condition_variable>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include <litbuild/call.hpp>

#include <folder-store/fs.hpp>

#include <nfs/lease_folder.hpp>

namespace litbuild::nfs {

/// Of all hosts the same.
inline constexpr std::chrono::milliseconds default_lease = std::chrono::seconds(15);
inline constexpr std::chrono::milliseconds shortest_lease(100), longest_lease = std::chrono::hours(1);

/// Threads: any.
class Leases {
public:
    struct Held {
        std::shared_ptr<LeaseFolder> folder;
        std::string name;           ///< of the lock
        LeaseFolder::File file;
        std::string token;
        Clock::time_point renewed;
        uint64_t sequence = 0;
        bool is_lost = false;
    };
    using Handle = std::list<Held>::iterator;

    explicit Leases(std::chrono::milliseconds lease);
    ~Leases();
    Leases(const Leases &) = delete;
    Leases &operator=(const Leases &) = delete;

    /// `.NAME.lease` in a folder. Waits for others until `waiting` ends, and for the server until `call` does; throws what
    /// Call::check does, with `object`, and Refusal. Code::corrupt: what has the name is no regular file. `before_ns`, where it is
    /// given: the folder's time before the lock came, after the last of those that were waited for.
    Handle take(const Call &call, const Call &waiting, std::shared_ptr<LeaseFolder> folder, std::string_view name,
                const std::string &object, int64_t *before_ns = nullptr);
    /// Whether it was not taken away; costs a request, and one more where nothing was heard of it for the whole lease.
    bool is_held(const Call &call, Handle held);
    /// What cannot be removed now is known to be of nobody: this process, or in time others, take it away.
    void release(const Call &call, Handle held) noexcept;

    static std::string name_of(std::string_view name);

private:
    struct Seen {
        uint64_t inode = 0;
        int64_t modified_ns = 0;
        std::optional<std::string> text;   // read once
        Clock::time_point since;
    };
    std::optional<LeaseFolder::File> link_own(const Call &call, LeaseFolder &folder, const std::string &lock,
                                              const std::string &token);
    bool is_over(const Call &call, const Call &waiting, LeaseFolder &folder, const std::string &lock,
                 const LeaseFolder::File &found, int64_t server_ns);
    bool is_ours(const std::string &token);
    std::string text_of(const std::string &token, uint64_t sequence) const;
    void start();
    void renew_all() noexcept;

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

/// One of them as a lock of a file system. `leases` must outlive it.
class HeldLease final : public folder::Lock {
public:
    /// Whether the time of the folder is put back after the lock came, and after it went.
    enum class Times { change, keep };

    /// As Leases::take.
    HeldLease(Leases &leases, const Call &call, const Call &waiting, std::shared_ptr<LeaseFolder> folder,
              std::string_view name, const std::string &object, Times times);
    ~HeldLease() override;
    HeldLease(const HeldLease &) = delete;
    HeldLease &operator=(const HeldLease &) = delete;

    bool is_held(const Call &call) override;

private:
    Leases &leases_;
    const std::string object_;
    const std::shared_ptr<LeaseFolder> folder_;
    const Times times_;
    const Call call_;
    Leases::Handle held_;
};

}  // namespace litbuild::nfs
