#include <nfs/leases.hpp>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include <unistd.h>

#include <folder-store/afterwards.hpp>
#include <folder-store/fields.hpp>
#include <folder-store/noise.hpp>
#include <folder-store/owner.hpp>
#include <folder-store/pause.hpp>

namespace litbuild::nfs {

using std::chrono::milliseconds;

namespace {

constexpr size_t text_size = 512;

int64_t monotonic_ns() noexcept
{
    return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch()).count();
}

}  // namespace

Leases::Leases(Server &server, std::chrono::milliseconds lease)
    : server_(server), lease_(lease), instance_(folder::noise())
{
}

std::string Leases::name_of(std::string_view name)
{
    return (name.front() == '.' ? "" : ".") + std::string(name) + ".lease";
}

Leases::~Leases()
{
    if (!renewal_.joinable()) return;
    if (process_ != ::getpid()) {
        renewal_.detach();
        return;
    }
    {
        const std::lock_guard guard(mutex_);
        is_ending_ = true;
    }
    cancel_.cancel();
    changed_.notify_all();
    renewal_.join();
}

// Always of one size, so that a renewal is one write.
std::string Leases::text_of(const std::string &token, uint64_t sequence) const
{
    boost::json::object members = {{"token", token},
                                   {"instance", instance_},
                                   {"sequence", sequence},
                                   {"lease_ms", lease_.count()},
                                   {"owner", folder::Owner::self().to_json()}};
    std::string text = boost::json::serialize(members);
    text.resize(std::max(text.size() + 1, text_size), ' ');
    text.back() = '\n';
    return text;
}

void Leases::start()
{
    if (renewal_.joinable() && process_ == ::getpid()) return;
    // In a child of the process that started it there is none.
    if (renewal_.joinable()) {
        renewal_.detach();
        held_.clear();
    }
    process_ = ::getpid();
    sigset_t all, before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    renewal_ = std::thread([this] { renew_all(); });
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Leases::renew_all() noexcept
{
    std::unique_lock guard(mutex_);
    while (!is_ending_) {
        changed_.wait_for(guard, held_.empty() ? milliseconds(3'600'000) : lease_ / 6);
        const Clock::time_point due = Clock::now() - lease_ / 3;
        for (size_t i = 0; i < held_.size() && !is_ending_; ++i) {
            const Handle one = std::next(held_.begin(), static_cast<ptrdiff_t>(i));
            if (one->is_lost || one->renewed > due) continue;
            const std::string file = one->file.handle, token = one->token;
            const uint64_t sequence = ++one->sequence;
            const Clock::time_point begun = Clock::now();
            guard.unlock();
            bool is_lost = false, is_done = false;
            try {
                Call call = Call::within(lease_ / 3);
                Client client(server_, call.cancelled_by(cancel_));
                client.write(file, 0, text_of(token, sequence), Stable::no);
                is_done = true;
            } catch (const Refusal &) {
                is_lost = true;
            } catch (...) {
                // Again, before it is over.
            }
            guard.lock();
            // Released meanwhile?
            for (Held &held : held_) {
                if (held.token != token) continue;
                held.is_lost = is_lost;
                if (is_done) held.renewed = begun;
            }
        }
    }
}

bool Leases::is_ours(const std::string &token)
{
    const std::lock_guard guard(mutex_);
    return std::any_of(held_.begin(), held_.end(), [&](const Held &held) { return held.token == token; });
}

// Whether nobody holds it any more.
bool Leases::is_over(Client &client, const std::string &key, const Node &found, int64_t server_ns)
{
    const std::string text = client.read(found.handle, 0, text_size * 4);
    const auto members = folder::parse_object(text);
    const boost::json::object *who = members ? folder::fields::below(*members, "owner") : nullptr;
    const std::optional<folder::Owner> owner = who ? folder::Owner::from_json(*who) : std::nullopt;
    int64_t lease_ms = lease_.count();
    if (members) lease_ms = std::clamp<int64_t>(folder::fields::integer(*members, "lease_ms").value_or(0), lease_ms, 3'600'000);
    if (owner && folder::look_for(*owner) == folder::Owning::gone) return true;
    // Of this object itself, which could not remove it.
    if (owner && folder::fields::text(*members, "instance") == instance_ &&
        owner->to_json() == folder::Owner::self().to_json() && !is_ours(folder::fields::text(*members, "token")))
        return true;
    if (server_ns != 0 && server_ns - found.is.modified_ns > 4 * lease_ms * 1'000'000) return true;

    const std::lock_guard guard(mutex_);
    const auto [at, is_new] = seen_.try_emplace(key);
    Seen &seen = at->second;
    if (is_new || seen.inode != found.is.inode || seen.modified_ns != found.is.modified_ns || seen.text != text) {
        seen = {found.is.inode, found.is.modified_ns, text, Clock::now()};
        return false;
    }
    return Clock::now() - seen.since > milliseconds(lease_ms);
}

void Leases::take_away(Client &client, const std::string &folder, const std::string &lock, const Node &found)
{
    const std::string aside = folder::temporary_name();
    const int number = client.rename(found, folder, lock, folder, aside);
    if (number == ENOENT) return;
    if (number != 0) throw Refusal{number};
    // Between the look and the rename another one may have taken it, or its holder have come back.
    const std::optional<Node> moved = client.lookup(folder, aside);
    if (!moved) return;
    const bool is_it = moved->is.inode == found.is.inode && moved->is.modified_ns == found.is.modified_ns;
    if (!is_it) (void)client.link(*moved, folder, lock);
    (void)client.remove_file(*moved, folder, aside);
}

// Nothing is made in the folder as long as another one holds the lock: it may be copied meanwhile.
Leases::Handle Leases::take(const Call &call, Client &client, const std::string &folder, std::string_view name,
                            const std::string &object)
{
    const std::string lock = name_of(name), token = folder::noise(), key = folder + "/" + lock;
    const Clock::time_point begun = Clock::now();
    std::optional<int64_t> offset_ns;   // of the server's clock
    for (milliseconds wait(2);; wait = std::min(wait * 2, milliseconds(100))) {
        const std::optional<Node> found = client.lookup(folder, lock);
        if (!found) {
            const Clock::time_point renewed = Clock::now();
            if (const std::optional<Node> file = link_own(client, folder, lock, token)) {
                const std::lock_guard guard(mutex_);
                start();
                seen_.erase(key);
                held_.push_front({folder, lock, *file, token, renewed, 0, false});
                changed_.notify_all();
                return held_.begin();
            }
        } else {
            try {
                if (!offset_ns && Clock::now() - begun > milliseconds(1000)) offset_ns = clock_offset(client, folder);
                if (is_over(client, key, *found, offset_ns ? monotonic_ns() + *offset_ns : 0))
                    take_away(client, folder, lock, *found);
            } catch (const Refusal &refusal) {
                // Released while it was looked at.
                if (refusal.number != ESTALE && refusal.number != ENOENT) throw;
            }
        }
        call.check(object);
        folder::pause(call, wait);
    }
}

// None: another one was faster.
std::optional<Node> Leases::link_own(Client &client, const std::string &folder, const std::string &lock,
                                     const std::string &token)
{
    const std::string own = folder::temporary_name();
    Node file;
    if (const int number = client.make_file(folder, own, 0644, Client::Name::unique, file); number != 0)
        throw Refusal{number};
    try {
        client.write(file.handle, 0, text_of(token, 0), Stable::no);
        const int number = client.link(file, folder, lock);
        (void)client.remove_file(file, folder, own);
        if (number != 0 && number != EEXIST) throw Refusal{number};
        return number == 0 ? std::optional(file) : std::nullopt;
    } catch (...) {
        try {
            Client other(server_, folder::afterwards(client.call()));
            (void)other.remove_file(file, folder, own);
        } catch (...) {
            // Its name tells whose it was.
        }
        throw;
    }
}

// What the server's clock shows when ours shows zero.
int64_t Leases::clock_offset(Client &client, const std::string &folder)
{
    const std::string own = folder::temporary_name();
    Node probe;
    const int64_t now_ns = monotonic_ns();
    if (const int number = client.make_file(folder, own, 0644, Client::Name::unique, probe); number != 0)
        throw Refusal{number};
    (void)client.remove_file(probe, folder, own);
    return probe.is.modified_ns - now_ns;
}

bool Leases::is_held(Client &client, Handle held)
{
    {
        const std::lock_guard guard(mutex_);
        if (held->is_lost || Clock::now() - held->renewed > lease_) return false;
    }
    const std::optional<Node> found = client.lookup(held->folder, held->name);
    return found && found->is.inode == held->file.is.inode;
}

void Leases::release(const Call &call, Handle held) noexcept
{
    Held one;
    {
        const std::lock_guard guard(mutex_);
        one = *held;
        held_.erase(held);
    }
    try {
        Client client(server_, folder::afterwards(call));
        const std::optional<Node> found = client.lookup(one.folder, one.name);
        if (found && found->is.inode == one.file.is.inode) (void)client.remove_file(*found, one.folder, one.name);
    } catch (...) {
        // As the header says.
    }
}

}  // namespace litbuild::nfs
