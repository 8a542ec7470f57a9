#include <nfs/connection.hpp>

#include <algorithm>
#include <utility>

#include <poll.h>
#include <unistd.h>

#include <nfsc/libnfs.h>
#include <nfsc/libnfs-raw-mount.h>
#include <nfsc/libnfs-raw-nfs.h>
#include <nfsc/libnfs-raw.h>

#include <litbuild/error.hpp>

// Declared by no public header of libnfs 4.0, though public.
extern "C" void rpc_set_autoreconnect(struct rpc_context *rpc, int num_retries);

namespace litbuild::nfs {

using std::chrono::milliseconds;

namespace {

// A call may be cancelled without a descriptor that says so.
constexpr milliseconds longest_wait(100);

Error refused(const Address &address, int status)
{
    const std::string object = address.text();
    switch (status) {
    case MNT3ERR_NOENT: return Error(Code::not_found, object + ": the server has no such folder", ENOENT);
    case MNT3ERR_NOTDIR: return Error(Code::invalid, object + ": is not a folder", ENOTDIR);
    case MNT3ERR_PERM:
    case MNT3ERR_ACCES:
        return Error(Code::denied, object + ": the server does not let this host or user use it", EACCES);
    default: return Error(Code::unavailable, object + ": the server's mount service fails with error " +
                                                 std::to_string(status), EIO);
    }
}

}  // namespace

void Connection::on_answer(rpc_context *rpc, int status, void *data, void *self)
{
    auto &connection = *static_cast<Connection *>(self);
    if (!connection.is_waiting_) return;
    connection.is_waiting_ = false;
    connection.status_ = status;
    try {
        if (status == RPC_STATUS_SUCCESS) {
            if (connection.answer_) connection.answer_(data);
        } else if (status == RPC_STATUS_ERROR) {
            const char *why = data ? static_cast<const char *>(data) : ::rpc_get_error(rpc);
            connection.why_ = why ? why : "";
        }
    } catch (...) {
        connection.thrown_ = std::current_exception();
    }
}

void Connection::close() noexcept
{
    is_waiting_ = false;
    if (rpc_context *rpc = std::exchange(rpc_, nullptr)) ::rpc_destroy_context(rpc);
}

bool Connection::is_stale() const noexcept
{
    pollfd item{rpc_ ? ::rpc_get_fd(rpc_) : -1, POLLIN, 0};
    return item.fd < 0 || ::poll(&item, 1, 0) != 0;
}

Outcome Connection::serve(const Call &call)
{
    while (is_waiting_) {
        if (call.cancelled()) return Outcome::cancelled;
        // One that is there already is taken.
        const bool is_over = call.expired();
        const auto rest = is_over ? milliseconds(0) : std::chrono::ceil<milliseconds>(call.left(longest_wait));
        pollfd items[2] = {{::rpc_get_fd(rpc_), static_cast<short>(::rpc_which_events(rpc_)), 0},
                           {call.cancel_fd(), POLLIN, 0}};
        if (::poll(items, 2, static_cast<int>(std::min(rest, longest_wait).count())) < 0 && errno != EINTR)
            throw os_error("poll", "wait", errno);
        if (items[0].revents != 0 && ::rpc_service(rpc_, items[0].revents) < 0 && is_waiting_) {
            const char *why = ::rpc_get_error(rpc_);
            why_ = why ? why : "";
            return Outcome::broken;
        }
        if (is_over && is_waiting_ && items[0].revents == 0) return Outcome::timeout;
    }
    if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
    return status_ == RPC_STATUS_SUCCESS ? Outcome::answered : Outcome::broken;
}

Outcome Connection::wait(const Call &call)
{
    const Outcome outcome = serve(call);
    if (outcome == Outcome::cancelled || outcome == Outcome::broken) close();
    return outcome;
}

Outcome Connection::ask_once(const Call &call, const Submit &submit, const Answer &answer)
{
    answer_ = answer;
    is_waiting_ = true;
    if (submit(rpc_, &Connection::on_answer, this) < 0) {
        const char *why = ::rpc_get_error(rpc_);
        why_ = why ? why : "";
        close();
        return Outcome::broken;
    }
    return wait(call);
}

struct Connection::Several {
    struct One {
        Several *all;
        size_t number;
        bool is_done;
    };
    Connection &connection;
    const std::function<void(size_t, void *)> &answer;
    std::vector<One> each;
    size_t left;
};

void Connection::on_one_answer(rpc_context *, int status, void *data, void *self)
{
    auto &one = *static_cast<Several::One *>(self);
    Connection &connection = one.all->connection;
    if (one.is_done || !connection.is_waiting_) return;
    one.is_done = true;
    connection.status_ = status;
    connection.is_waiting_ = --one.all->left > 0 && status == RPC_STATUS_SUCCESS;
    if (status != RPC_STATUS_SUCCESS) return;
    try {
        one.all->answer(one.number, data);
    } catch (...) {
        connection.thrown_ = std::current_exception();
        connection.is_waiting_ = false;
    }
}

Outcome Connection::ask_all(const Call &call, const std::vector<Submit> &submits,
                            const std::function<void(size_t, void *)> &answer)
{
    if (submits.empty()) return Outcome::answered;
    Several all{*this, answer, {}, submits.size()};
    for (size_t i = 0; i < submits.size(); ++i) all.each.push_back({&all, i, false});
    is_waiting_ = true;
    Outcome outcome = Outcome::broken;
    size_t sent = 0;
    while (sent < submits.size() && submits[sent](rpc_, &Connection::on_one_answer, &all.each[sent]) >= 0) ++sent;
    try {
        if (sent == submits.size()) outcome = serve(call);
    } catch (...) {
        close();
        throw;
    }
    // What is still out refers to what goes away now.
    if (outcome != Outcome::answered) close();
    return outcome;
}

// For what stands before the connection's use: nobody waits for its answer later.
Outcome Connection::request(const Call &call, const Submit &submit, const Answer &answer)
{
    const Outcome outcome = ask_once(call, submit, answer);
    if (outcome != Outcome::answered) close();
    return outcome;
}

Outcome Connection::open(const Address &address, const Call &call)
{
    const auto begin = [&] {
        close();
        rpc_ = ::rpc_init_context();
        if (!rpc_) throw std::bad_alloc();
        process_ = ::getpid();
        ::rpc_set_autoreconnect(rpc_, 0);
        ::rpc_set_uid(rpc_, address.uid.value_or(static_cast<int>(::geteuid())));
        ::rpc_set_gid(rpc_, address.gid.value_or(static_cast<int>(::getegid())));
    };
    const auto connect = [&](int port, int program, int version) {
        return request(call, [&](rpc_context *rpc, auto *answered, void *self) {
            return port > 0 ? ::rpc_connect_port_async(rpc, address.server.c_str(), port, program, version, answered, self)
                            : ::rpc_connect_program_async(rpc, address.server.c_str(), program, version, answered, self);
        }, {});
    };
    begin();
    Outcome outcome = connect(address.mount_port > 0 ? address.mount_port : address.nfs_port, MOUNT_PROGRAM, MOUNT_V3);
    if (outcome != Outcome::answered) return outcome;
    int status = 0;
    std::string folder = address.folder;
    outcome = request(
        call,
        [&](rpc_context *rpc, auto *answered, void *self) {
            return ::rpc_mount3_mnt_async(rpc, answered, folder.data(), self);
        },
        [&](void *data) {
            const auto &result = *static_cast<mountres3 *>(data);
            status = result.fhs_status;
            if (status != MNT3_OK) return;
            const auto &handle = result.mountres3_u.mountinfo.fhandle;
            root_.assign(handle.fhandle3_val, handle.fhandle3_len);
        });
    if (outcome != Outcome::answered) return outcome;
    if (status != MNT3_OK) {
        close();
        throw refused(address, status);
    }
    begin();
    return connect(address.nfs_port, NFS_PROGRAM, NFS_V3);
}

}  // namespace litbuild::nfs
