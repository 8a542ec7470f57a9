// One opened plugin on the engine's side of the edge: its table, its instance and the host that it sees.
#pragma once

#include <condition_variable>
#include <mutex>

#include <litbuild/abi.hpp>

#include "plugins.hpp"

namespace litbuild::detail {

using abi::OutgoingCall;
using abi::Receiver;

/// One at a time, in the order of arrival. A std::mutex is often taken again by who just released it, and one who polls
/// in slices would keep all others out.
class Turns {
public:
    void lock()
    {
        std::unique_lock<std::mutex> hold(mutex_);
        const uint64_t mine = last_++;
        moved_.wait(hold, [&] { return mine == first_; });
    }
    void unlock()
    {
        {
            const std::lock_guard<std::mutex> hold(mutex_);
            ++first_;
        }
        moved_.notify_all();
    }

private:
    std::mutex mutex_;
    std::condition_variable moved_;
    uint64_t first_ = 0, last_ = 0;
};

/// Table, instance and host of one opened plugin.
template <class Table>
class Instance {
public:
    Instance(const void *table, const PluginChoice &choice, LogFunction log, const lb_reader *reader)
        : name_(choice.plugin), log_(std::move(log)), reader_(reader), table_(abi::copy(static_cast<const Table *>(table)))
    {
        host_ = abi::sized<lb_host>();
        host_.abi = LITBUILD_ABI;
        host_.name = abi::str("litbuild");
        host_.version = abi::str(LITBUILD_VERSION);
        host_.ctx = this;
        host_.log = [](void *ctx, int32_t level, lb_str text) noexcept {
            const Instance &self = *static_cast<Instance *>(ctx);
            try {
                if (self.log_) self.log_(level, self.name_ + ": " + abi::text(text));
            } catch (...) {
                // A logger that fails must not end the call that logs.
            }
        };
        host_.now_ns = [](void *) noexcept -> int64_t {
            return std::chrono::nanoseconds(Clock::now().time_since_epoch()).count();
        };
        host_.service = [](void *ctx, lb_str id) noexcept -> const void * {
            return abi::view(id) == LB_READER_ID ? static_cast<Instance *>(ctx)->reader_ : nullptr;
        };
        if (!table_.open) throw unsupported("open");
        lb_error error = abi::sized<lb_error>();
        abi::raise(table_.open(&host_, abi::str(choice.config), &self_, &error), error, "plugin " + name_);
    }
    ~Instance()
    {
        if (table_.close) table_.close(self_);
    }
    Instance(const Instance &) = delete;
    Instance &operator=(const Instance &) = delete;

    const std::string &name() const noexcept { return name_; }
    bool serial() const noexcept { return table_.threads != LB_PARALLEL; }

    uint64_t capabilities() const
    {
        if constexpr (requires { table_.capabilities; })
            return table_.capabilities ? guarded([&] { return table_.capabilities(self_); }) : 0;
        return 0;
    }

    uint64_t as_of_ms() const { return table_.as_of_ms ? guarded([&] { return table_.as_of_ms(self_); }) : 0; }

    /// Calls `table.*function(self, args..., &error)`; a code becomes the exception.
    template <class Function, class... Args>
    void call(const std::string &object, const char *what, Function Table::*function, Args... args) const
    {
        const Function entry = table_.*function;
        if (!entry) throw unsupported(what);
        lb_error error = abi::sized<lb_error>();
        abi::raise(guarded([&] { return entry(self_, args..., &error); }), error, object);
    }

    /// As call(), with a receiver behind the arguments. What its body threw goes before what the plugin made of it, and
    /// once it had enough, nothing that the plugin says matters.
    template <class Function, class... Received, class... Args>
    void receive(const std::string &object, const char *what, Function Table::*function,
                 Receiver<Received...> &receiver, Args... args) const
    {
        const Function entry = table_.*function;
        if (!entry) throw unsupported(what);
        lb_error error = abi::sized<lb_error>();
        const int32_t code =
            guarded([&] { return entry(self_, args..., receiver.receive, static_cast<void *>(&receiver), &error); });
        receiver.rethrow();
        if (!receiver.enough()) abi::raise(code, error, object);
    }

private:
    template <class Body>
    auto guarded(Body body) const
    {
        std::unique_lock<Turns> lock(turns_, std::defer_lock);
        if (serial()) lock.lock();
        return body();
    }
    Error unsupported(const char *what) const
    {
        return Error(Code::unsupported, "plugin " + name_ + ": '" + what + "' is not supported");
    }

    std::string name_;
    LogFunction log_;
    const lb_reader *reader_;
    Table table_;
    lb_host host_{};
    void *self_ = nullptr;
    mutable Turns turns_;
};

/// A blocking call of a plugin that takes one at a time is asked in slices, or nobody could stop what it waits for.
inline constexpr auto slice = std::chrono::milliseconds(100);

}  // namespace litbuild::detail
