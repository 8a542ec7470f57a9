#include <folder-store/deadline_fs.hpp>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <list>
#include <mutex>
#include <optional>

#include <folder-store/spare_threads.hpp>

namespace litbuild::folder {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr size_t most_threads = 64;
// What is back a little after its deadline tells of no server that is away.
constexpr milliseconds patience(500);
// The call's own end comes first, which knows more of what it was doing.
constexpr milliseconds head_start(50);
constexpr seconds longest_silence(60);
constexpr milliseconds look_for_cancel(20);

// Thrown through what is still at work for a call that has returned.
struct Abandoned {};

}  // namespace

/// One call under way, kept by its caller and its thread.
struct Errand {
    std::mutex mutex;
    std::condition_variable moved;
    Canceller canceller;
    bool is_done = false;
    const Clock::time_point began = Clock::now();
    std::atomic<Clock::rep> left_alone{0};   ///< when its caller left; 0: he waits. Changed under the mutex
    Clock::time_point last_word = Clock::now();   ///< of its receivers
    std::exception_ptr error;

    /// Runs what belongs to the caller: not while he leaves, and not after.
    template <class Body>
    auto for_caller(Body body)
    {
        const std::lock_guard<std::mutex> hold(mutex);
        if (left_alone != 0) throw Abandoned{};
        last_word = Clock::now();
        return body();
    }
};

class DeadlineFs::Errands : public std::enable_shared_from_this<Errands> {
public:
    Errands(std::string root, Make make) : root_(std::move(root)), make_(std::move(make)) {}

    /// Runs `body(fs, call, errand)` in a thread. What it refers to must be its own.
    void run(const Call &call, std::function<void(Fs &, const Call &, Errand &)> body)
    {
        refuse_while_away();
        auto errand = std::make_shared<Errand>();
        const Call inner = call.has_deadline() ? Call::until(call.deadline()) : Call();
        begin(call, errand);
        try {
            threads_.start([self = shared_from_this(), errand, inner, body = std::move(body)]() mutable {
                Call own = inner;
                own.cancelled_by(errand->canceller);
                self->work(*errand, own, std::move(body));
                self->end(errand);
            });
        } catch (...) {
            end(errand);
            throw Error(Code::unavailable, root_ + ": no thread is left for a call");
        }
        wait(call, *errand);
    }

    milliseconds as_of() const
    {
        const std::lock_guard<std::mutex> hold(mutex_);
        return fs_ ? fs_->as_of() : milliseconds(0);
    }

    /// In a thread, and waited for a moment: it may not come back. Who ends his process next has given it back.
    void drop(std::shared_ptr<Lock> lock)
    {
        auto errand = std::make_shared<Errand>();
        errand->left_alone = Clock::now().time_since_epoch().count();
        {
            const std::lock_guard<std::mutex> hold(mutex_);
            out_.push_back(errand);
        }
        try {
            threads_.start([self = shared_from_this(), errand, lock = std::move(lock)]() mutable {
                lock.reset();
                {
                    const std::lock_guard<std::mutex> hold(errand->mutex);
                    errand->is_done = true;
                    errand->moved.notify_all();
                }
                self->end(errand);
            });
        } catch (...) {
            end(errand);
            return;
        }
        std::unique_lock<std::mutex> hold(errand->mutex);
        errand->moved.wait_for(hold, patience, [&] { return errand->is_done; });
    }

private:
    std::string away(Clock::time_point since) const
    {
        const auto time = std::chrono::duration_cast<seconds>(Clock::now() - since);
        return root_ + ": has not answered for " + std::to_string(time.count()) + " s";
    }

    /// Since when the one that is out longest, of those that were left alone, is out.
    std::optional<Clock::time_point> away_since() const
    {
        std::optional<Clock::time_point> since;
        const Clock::time_point now = Clock::now();
        // Not under their own locks: a receiver that calls again holds one.
        for (const auto &errand : out_) {
            const Clock::time_point left(Clock::duration(errand->left_alone.load()));
            // Where others are back since, it is not the server that it waits for.
            const bool is_left = left != Clock::time_point{} && left.time_since_epoch().count() >= answered_.load();
            if (is_left && now - left > patience && (!since || errand->began < *since)) since = errand->began;
        }
        return since;
    }

    void refuse_while_away() const
    {
        const std::lock_guard<std::mutex> hold(mutex_);
        if (const auto since = away_since()) throw Error(Code::unavailable, away(*since));
    }

    void begin(const Call &call, const std::shared_ptr<Errand> &errand)
    {
        std::unique_lock<std::mutex> hold(mutex_);
        while (out_.size() >= most_threads) {
            room_.wait_for(hold, look_for_cancel);
            if (const auto since = away_since()) throw Error(Code::unavailable, away(*since));
            call.check(root_);
        }
        out_.push_back(errand);
    }

    void end(const std::shared_ptr<Errand> &errand)
    {
        {
            const std::lock_guard<std::mutex> hold(mutex_);
            out_.remove(errand);
        }
        room_.notify_one();
    }

    Fs &fs()
    {
        // One makes it, the others wait: where it hangs, all hang with it and are left alone.
        const std::lock_guard<std::mutex> making(making_);
        std::unique_ptr<Fs> made;
        if (!fs_) made = make_();
        const std::lock_guard<std::mutex> hold(mutex_);
        if (made) fs_ = std::move(made);
        return *fs_;
    }

    void work(Errand &errand, const Call &call, std::function<void(Fs &, const Call &, Errand &)> body) noexcept
    {
        std::exception_ptr error;
        try {
            body(fs(), call, errand);
        } catch (const Abandoned &) {
            // Nobody asks any more.
        } catch (...) {
            error = std::current_exception();
        }
        // What it holds is not needed when its caller goes on.
        body = nullptr;
        answered_.store(Clock::now().time_since_epoch().count());
        const std::lock_guard<std::mutex> hold(errand.mutex);
        errand.error = error;
        errand.is_done = true;
        errand.moved.notify_all();
    }

    void wait(const Call &call, Errand &errand)
    {
        std::unique_lock<std::mutex> hold(errand.mutex);
        const auto leave = [&](Code code, const std::string &text) {
            errand.left_alone = Clock::now().time_since_epoch().count();
            hold.unlock();
            errand.canceller.cancel();
            throw Error(code, text);
        };
        while (!errand.is_done) {
            const Clock::time_point now = Clock::now();
            if (call.has_deadline() && now >= call.deadline() + head_start) leave(Code::timeout, away(errand.began));
            if (call.cancelled() && !errand.canceller.cancelled()) errand.canceller.cancel();
            // Who is cancelled says so himself, unless he hangs.
            if (call.cancelled() && now - errand.last_word > seconds(1)) leave(Code::cancelled, root_ + ": cancelled");
            if (!call.has_deadline() && now - last_sign(errand) > longest_silence)
                leave(Code::unavailable, away(last_sign(errand)));
            Clock::duration time = call.cancel_fd() >= 0 ? Clock::duration(look_for_cancel) : Clock::duration(seconds(1));
            if (call.has_deadline()) time = std::min(time, call.deadline() + head_start - now);
            errand.moved.wait_for(hold, time);
        }
        if (errand.error) std::rethrow_exception(errand.error);
    }

    Clock::time_point last_sign(const Errand &errand) const
    {
        return std::max({errand.began, errand.last_word, Clock::time_point(Clock::duration(answered_.load()))});
    }

    const std::string root_;
    const Make make_;
    std::mutex making_;
    mutable std::mutex mutex_;
    std::condition_variable room_;
    std::unique_ptr<Fs> fs_;
    std::list<std::shared_ptr<Errand>> out_;
    SpareThreads threads_;
    std::atomic<Clock::rep> answered_{Clock::now().time_since_epoch().count()};
};

namespace {

/// Gives a lock back, and waits no longer than a moment for it.
class HeldElsewhere final : public Lock {
public:
    HeldElsewhere(std::function<bool(const Call &)> is_held, std::function<void()> drop)
        : is_held_(std::move(is_held)), drop_(std::move(drop))
    {
    }
    ~HeldElsewhere() override
    {
        // What it holds goes where it does not keep us.
        is_held_ = nullptr;
        drop_();
    }
    bool is_held(const Call &call) override { return is_held_(call); }

private:
    std::function<bool(const Call &)> is_held_;
    std::function<void()> drop_;
};

}  // namespace

DeadlineFs::DeadlineFs(std::string root, uint64_t capabilities, Make make, Clock::duration opening)
    : root_(std::move(root)), capabilities_(capabilities), errands_(std::make_shared<Errands>(root_, std::move(make)))
{
    try {
        errands_->run(Call::within(opening), [](Fs &, const Call &, Errand &) {});
    } catch (const Error &error) {
        if (error.code() != Code::timeout) throw;
    }
}

DeadlineFs::~DeadlineFs() = default;

std::chrono::milliseconds DeadlineFs::as_of() const { return errands_->as_of(); }

template <class Result, class Body>
Result DeadlineFs::send(const Call &call, Body body)
{
    // Not on the caller's stack, which may be gone when it is written.
    auto result = std::make_shared<std::optional<Result>>();
    errands_->run(call, [result, body = std::move(body)](Fs &fs, const Call &inner, Errand &errand) {
        result->emplace(body(fs, inner, errand));
    });
    return std::move(**result);
}

// What is captured here is either a copy, or touched in for_caller() only.

bool DeadlineFs::read_dir(const Call &call, const Path &dir, const NameSink &each)
{
    return send<bool>(call, [dir, &each](Fs &fs, const Call &inner, Errand &errand) {
        return fs.read_dir(inner, dir, [&](std::string_view name, Kind kind) {
            return errand.for_caller([&] { return each(name, kind); });
        });
    });
}

Info DeadlineFs::look(const Call &call, const Path &path)
{
    return send<Info>(call, [path](Fs &fs, const Call &inner, Errand &) { return fs.look(inner, path); });
}

Read DeadlineFs::read(const Call &call, const Path &path, uint64_t offset, uint64_t max, const TextSink &sink)
{
    return send<Read>(call, [path, offset, max, &sink](Fs &fs, const Call &inner, Errand &errand) {
        return fs.read(inner, path, offset, max, [&](std::string_view piece) {
            return errand.for_caller([&] { return sink(piece); });
        });
    });
}

bool DeadlineFs::make_dir(const Call &call, const Path &path)
{
    return send<bool>(call, [path](Fs &fs, const Call &inner, Errand &) { return fs.make_dir(inner, path); });
}

bool DeadlineFs::make_dir_alike(const Call &call, const Path &path)
{
    return send<bool>(call, [path](Fs &fs, const Call &inner, Errand &) { return fs.make_dir_alike(inner, path); });
}

void DeadlineFs::write_file(const Call &call, const Path &path, std::string_view content, Durable durable)
{
    errands_->run(call, [path, text = std::string(content), durable](Fs &fs, const Call &inner, Errand &) {
        fs.write_file(inner, path, text, durable);
    });
}

void DeadlineFs::replace_file(const Call &call, const Path &path, std::string_view content, Durable durable)
{
    errands_->run(call, [path, text = std::string(content), durable](Fs &fs, const Call &inner, Errand &) {
        fs.replace_file(inner, path, text, durable);
    });
}

void DeadlineFs::edit_file(const Call &call, const Path &path, Durable durable, const Change &change)
{
    errands_->run(call, [path, durable, &change](Fs &fs, const Call &inner, Errand &errand) {
        fs.edit_file(inner, path, durable, [&](std::string_view content) {
            return errand.for_caller([&] { return change(content); });
        });
    });
}

Renamed DeadlineFs::rename(const Call &call, const Path &from, const Path &to)
{
    return send<Renamed>(call, [from, to](Fs &fs, const Call &inner, Errand &) { return fs.rename(inner, from, to); });
}

void DeadlineFs::sync_dir(const Call &call, const Path &dir)
{
    errands_->run(call, [dir](Fs &fs, const Call &inner, Errand &) { fs.sync_dir(inner, dir); });
}

bool DeadlineFs::remove_file(const Call &call, const Path &path)
{
    return send<bool>(call, [path](Fs &fs, const Call &inner, Errand &) { return fs.remove_file(inner, path); });
}

void DeadlineFs::remove_tree(const Call &call, const Path &path)
{
    errands_->run(call, [path](Fs &fs, const Call &inner, Errand &) { fs.remove_tree(inner, path); });
}

std::unique_ptr<Lock> DeadlineFs::lock(const Call &call, const Path &path)
{
    // Who does not want to wait for others has to wait for the server all the same.
    const bool is_hasty = call.expired() && !call.cancelled();
    // Shared: a look that was left alone may still be at it when it is given back.
    const std::shared_ptr<Lock> held = send<std::unique_ptr<Lock>>(
        is_hasty ? Call::within(patience) : call, [path, is_hasty](Fs &fs, const Call &inner, Errand &) {
            return fs.lock(is_hasty ? Call::until(Clock::now()) : inner, path);
        });
    const auto is_held = [errands = errands_, lock = held](const Call &now) {
        auto result = std::make_shared<bool>(false);
        errands->run(now, [lock, result](Fs &, const Call &inner, Errand &) { *result = lock->is_held(inner); });
        return *result;
    };
    return std::make_unique<HeldElsewhere>(is_held, [errands = errands_, lock = held]() mutable { errands->drop(std::move(lock)); });
}

TreeSize DeadlineFs::measure(const Call &call, const Path &tree)
{
    return send<TreeSize>(call, [tree](Fs &fs, const Call &inner, Errand &) { return fs.measure(inner, tree); });
}

bool DeadlineFs::copy_tree(const Call &call, const Path &from, const Path &to, const Told &told)
{
    return send<bool>(call, [from, to, &told](Fs &fs, const Call &inner, Errand &errand) {
        return fs.copy_tree(inner, from, to, [&](uint64_t bytes) { errand.for_caller([&] { told(bytes); }); });
    });
}

bool DeadlineFs::same_tree(const Call &call, const Path &tree, const Path &copy, Compare what, const Told &told)
{
    return send<bool>(call, [tree, copy, what, &told](Fs &fs, const Call &inner, Errand &errand) {
        return fs.same_tree(inner, tree, copy, what,
                            [&](uint64_t bytes) { errand.for_caller([&] { told(bytes); }); });
    });
}

}  // namespace litbuild::folder
