// One connection to an export.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <sys/types.h>

#include <litbuild/call.hpp>

#include <nfs/address.hpp>

struct rpc_context;

namespace litbuild::nfs {

/// What a request came to. `broken`: the connection is of no use any more.
enum class Outcome { answered, timeout, cancelled, broken };

/// Queues a request: the three arguments are those of libnfs; below 0: it could not be queued.
using Submit = std::function<int(rpc_context *, void (*)(rpc_context *, int, void *, void *), void *)>;
/// Receives the answer as libnfs decodes it, which is gone when it returns.
using Answer = std::function<void(void *)>;

/// libnfs's asynchronous calls with a wait of our own, which ends on a deadline and on a cancel.
/// Threads: one at a time.
class Connection {
public:
    Connection() = default;
    ~Connection() { close(); }
    Connection(const Connection &) = delete;
    Connection &operator=(const Connection &) = delete;

    /// Connects to the server's mount service, gets the handle of the folder, connects to its NFS service.
    /// A refusal throws: Code::not_found, Code::denied, ...; its sentence starts with the address.
    Outcome open(const Address &address, const Call &call);
    /// One request. After a timeout the connection goes on, and the answer may still be waited for, by wait(); else, where there
    /// is none, it is closed, so that the answer cannot come later.
    Outcome ask_once(const Call &call, const Submit &submit, const Answer &answer);
    Outcome wait(const Call &call);
    /// Several requests at once; each answer is taken with the number of its request, as it comes. Where not all are answered
    /// the connection is closed.
    Outcome ask_all(const Call &call, const std::vector<Submit> &submits, const std::function<void(size_t, void *)> &answer);
    void close() noexcept;

    bool is_open() const noexcept { return rpc_ != nullptr; }
    /// For an answer that may still come.
    bool is_waiting() const noexcept { return is_waiting_; }
    /// The server has closed it, or said something that nobody asked for.
    bool is_stale() const noexcept;
    /// In a child of the process that opened it the connection is the parent's.
    pid_t process() const noexcept { return process_; }
    /// The handle of the folder.
    const std::string &root() const noexcept { return root_; }
    /// What broke it, in words; empty: nothing is known.
    const std::string &why() const noexcept { return why_; }

private:
    static void on_answer(rpc_context *, int status, void *data, void *self);
    struct Several;
    static void on_one_answer(rpc_context *, int status, void *data, void *one);
    Outcome request(const Call &call, const Submit &submit, const Answer &answer);
    Outcome serve(const Call &call);

    rpc_context *rpc_ = nullptr;
    pid_t process_ = 0;
    std::string root_, why_;
    // Of the one request that is under way.
    Answer answer_;
    bool is_waiting_ = false;
    int status_ = 0;
    std::exception_ptr thrown_;
};

}  // namespace litbuild::nfs
