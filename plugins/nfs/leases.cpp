#include <nfs/leases.hpp>

#include <algorithm>
#include <cerrno>

#include <unistd.h>

#include <litbuild/linux/signals.hpp>

#include <folder-store/afterwards.hpp>
#include <folder-store/fields.hpp>
#include <folder-store/noise.hpp>
#include <folder-store/owner.hpp>
#include <folder-store/pause.hpp>

namespace litbuild::nfs {

using std::chrono::milliseconds;

namespace {

constexpr size_t text_size = 512;
// Each look costs some requests: many that wait must not keep the holder's own from the server.
constexpr milliseconds longest_wait(200);
// Of the locks of others that were waited for in vain. What is forgotten is waited for as long again.
constexpr size_t most_seen = 1000;

int64_t monotonic_ns() noexcept
{
    return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch()).count();
}

}  // namespace

Leases::Leases(std::chrono::milliseconds lease) : lease_(lease), instance_(folder::noise()) {}

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
    renewal_ = linux_::quiet_thread([this] { renew_all(); });
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
            const std::shared_ptr<LeaseFolder> folder = one->folder;
            const LeaseFolder::File file = one->file;
            const std::string name = one->name, token = one->token;
            const uint64_t sequence = ++one->sequence;
            const Clock::time_point begun = Clock::now();
            guard.unlock();
            bool is_lost = false, is_done = false;
            try {
                Call call = Call::within(lease_ / 3);
                folder->renew(call.cancelled_by(cancel_), file, name, text_of(token, sequence));
                is_done = true;
            } catch (const Refusal &refusal) {
                is_lost = refusal.number == ENOENT || refusal.number == ESTALE;
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
bool Leases::is_over(const Call &call, const Call &waiting, LeaseFolder &folder, const std::string &lock,
                     const LeaseFolder::File &found, int64_t server_ns)
{
    // Most are gone before it is worth a look who holds them.
    constexpr milliseconds moment(50);
    const std::string key = folder.key() + "/" + lock;
    Seen seen;
    {
        const std::lock_guard guard(mutex_);
        if (seen_.size() >= most_seen && !seen_.contains(key)) seen_.clear();
        const auto [at, is_new] = seen_.try_emplace(key);
        if (is_new || at->second.inode != found.inode || at->second.modified_ns != found.modified_ns)
            at->second = {found.inode, found.modified_ns, std::nullopt, Clock::now()};
        seen = at->second;
    }
    if (!seen.text) {
        if (Clock::now() - seen.since < moment && waiting.left(2 * moment) > moment) return false;
        seen.text = folder.read(call, found, lock, text_size * 4);
        const std::lock_guard guard(mutex_);
        Seen &known = seen_[key];
        if (known.inode == seen.inode && known.modified_ns == seen.modified_ns) known.text = seen.text;
    }
    const auto members = folder::parse_object(*seen.text);
    const boost::json::object *who = members ? folder::fields::below(*members, "owner") : nullptr;
    const std::optional<folder::Owner> owner = who ? folder::Owner::from_json(*who) : std::nullopt;
    int64_t lease_ms = lease_.count();
    if (members) lease_ms = std::clamp<int64_t>(folder::fields::integer(*members, "lease_ms").value_or(0), lease_ms, longest_lease.count());
    if (owner && folder::look_for(*owner) == folder::Owning::gone) return true;
    // Of this object itself, which could not remove it.
    if (owner && folder::fields::text(*members, "instance") == instance_ &&
        owner->to_json() == folder::Owner::self().to_json() && !is_ours(folder::fields::text(*members, "token")))
        return true;
    if (server_ns != 0 && server_ns - found.modified_ns > 4 * lease_ms * 1'000'000) return true;
    return Clock::now() - seen.since > milliseconds(lease_ms);
}

namespace {

void take_away(const Call &call, LeaseFolder &folder, const std::string &lock, const LeaseFolder::File &found)
{
    const std::string aside = folder::temporary_name();
    if (!folder.rename(call, found, lock, aside)) return;
    // Between the look and the rename another one may have taken it, or its holder have come back.
    const std::optional<LeaseFolder::File> moved = folder.look(call, aside);
    if (!moved) return;
    const bool is_it = moved->inode == found.inode && moved->modified_ns == found.modified_ns;
    if (!is_it) (void)folder.link(call, *moved, aside, lock);
    folder.discard(call, *moved, aside);
}

// What the server's clock shows when ours shows zero.
int64_t clock_offset(const Call &call, LeaseFolder &folder)
{
    const std::string own = folder::temporary_name();
    const LeaseFolder::File probe = folder.make(call, own, "", "");
    // Read behind it: the server's clock is rather taken to show less.
    const int64_t now_ns = monotonic_ns();
    folder.discard(call, probe, own);
    return probe.modified_ns - now_ns;
}

}  // namespace

// Nothing is made in the folder as long as another one holds the lock: it may be copied meanwhile.
Leases::Handle Leases::take(const Call &call, const Call &waiting, std::shared_ptr<LeaseFolder> folder,
                            std::string_view name, const std::string &object, int64_t *before_ns)
{
    const std::string lock = name_of(name), token = folder::noise();
    const Clock::time_point begun = Clock::now();
    std::optional<int64_t> offset_ns;   // of the server's clock
    for (milliseconds wait(2);; wait = std::min(wait * 2, longest_wait)) {
        const std::optional<LeaseFolder::File> found = folder->look(call, lock);
        if (found && !found->is_regular) throw Error(Code::corrupt, object + ": its lock is not a regular file");
        if (!found) {
            if (before_ns) *before_ns = folder->modified_ns(call);
            const Clock::time_point renewed = Clock::now();
            if (const std::optional<LeaseFolder::File> file = link_own(call, *folder, lock, token)) {
                const std::lock_guard guard(mutex_);
                start();
                seen_.erase(folder->key() + "/" + lock);
                held_.push_front({std::move(folder), lock, *file, token, renewed, 0, false});
                changed_.notify_all();
                return held_.begin();
            }
        } else {
            try {
                if (!offset_ns && Clock::now() - begun > milliseconds(1000)) offset_ns = clock_offset(call, *folder);
                if (is_over(call, waiting, *folder, lock, *found, offset_ns ? monotonic_ns() + *offset_ns : 0)) {
                    take_away(call, *folder, lock, *found);
                    call.check(object);
                    continue;
                }
            } catch (const Refusal &refusal) {
                // Released while it was looked at.
                if (refusal.number != ESTALE && refusal.number != ENOENT) throw;
            }
        }
        waiting.check(object);
        folder::pause(waiting, wait);
        waiting.check(object);
    }
}

// None: another one was faster.
std::optional<LeaseFolder::File> Leases::link_own(const Call &call, LeaseFolder &folder, const std::string &lock,
                                                  const std::string &token)
{
    const std::string own = folder::temporary_name();
    const std::string text = text_of(token, 0);
    const LeaseFolder::File file = folder.make(call, own, text, std::string_view(text).substr(0, text.find(token) + token.size()));
    try {
        const LeaseFolder::Linked linked = folder.link(call, file, own, lock);
        folder.discard(call, file, own);
        return linked == LeaseFolder::Linked::done ? std::optional(file) : std::nullopt;
    } catch (...) {
        try {
            folder.discard(folder::afterwards(call), file, own);
        } catch (...) {
            // Its name tells whose it was.
        }
        throw;
    }
}

bool Leases::is_held(const Call &call, Handle held)
{
    bool is_due = false;
    uint64_t sequence = 0;
    {
        const std::lock_guard guard(mutex_);
        if (held->is_lost) return false;
        is_due = Clock::now() - held->renewed > lease_;
        if (is_due) sequence = ++held->sequence;
    }
    if (is_due) {
        // A server that was away let nobody write anew, nor take away. Written anew it is young again: who found it too old
        // before sees that, and gives it back.
        const Clock::time_point begun = Clock::now();
        try {
            held->folder->renew(call, held->file, held->name, text_of(held->token, sequence));
        } catch (const Refusal &refusal) {
            if (refusal.number == ENOENT || refusal.number == ESTALE) return false;
            throw;
        }
        const std::lock_guard guard(mutex_);
        held->renewed = begun;
    }
    return held->folder->has_name(call, held->file, held->name);
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
        one.folder->remove(folder::afterwards(call), one.file, one.name);
    } catch (...) {
        // As the header says.
    }
}

HeldLease::HeldLease(Leases &leases, const Call &call, const Call &waiting, std::shared_ptr<LeaseFolder> folder,
                     std::string_view name, const std::string &object, Times times)
    : leases_(leases), object_(object), folder_(std::move(folder)), times_(times),
      call_(call.has_deadline() ? Call::until(call.deadline()) : Call())
{
    int64_t before_ns = 0;
    held_ = leases_.take(call, waiting, folder_, name, object, times_ == Times::keep ? &before_ns : nullptr);
    try {
        if (times_ == Times::keep) folder_->set_modified_ns(call, before_ns);
    } catch (...) {
        leases_.release(call_, held_);
        throw;
    }
}

bool HeldLease::is_held(const Call &call)
{
    try {
        return leases_.is_held(call, held_);
    } catch (const Refusal &refusal) {
        // The folder is gone, and the lock with it.
        if (refusal.number == ESTALE || refusal.number == ENOENT) return false;
        throw os_error(object_, "look after its lock", refusal.number);
    }
}

HeldLease::~HeldLease()
{
    std::optional<int64_t> before_ns;
    // A time is not worth more than an attempt.
    try {
        if (times_ == Times::keep) before_ns = folder_->modified_ns(folder::afterwards(call_));
    } catch (...) {}
    leases_.release(call_, held_);
    try {
        if (before_ns) folder_->set_modified_ns(folder::afterwards(call_), *before_ns);
    } catch (...) {}
}

}  // namespace litbuild::nfs
