// Calling a plugin's table: every call is marked, every answer is looked at, and nothing is put right on the way.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "context.hpp"

namespace litbuild::conformance {

/// What one call came to.
struct Answer {
    std::string what;      ///< "lb_store.find of check/3"
    int32_t code = LB_OK;
    std::string sentence;
    bool ok() const noexcept { return code == LB_OK; }
};

/// "LB_NOT_FOUND", or the number of what is no code of the contract.
std::string code_name(int32_t code);

/// `answer` as it stands in a failure: "LB_NOT_FOUND (contoso/3: no such build)".
std::string described(const Answer &answer);

/// Ends the check as skipped where the answer is LB_UNSUPPORTED.
void skip_unsupported(const Answer &answer);
/// LB_OK; LB_UNSUPPORTED skips.
void expect_ok(const Answer &answer);
/// One of these; LB_UNSUPPORTED skips, unless it is among them.
void expect_code(const Answer &answer, std::initializer_list<int32_t> codes);

/// Text whose last byte is the last of its page, with nothing readable behind it: who reads past the size crashes.
class Guarded {
public:
    explicit Guarded(std::string_view text);
    ~Guarded();
    Guarded(const Guarded &) = delete;
    Guarded &operator=(const Guarded &) = delete;
    lb_str str() const noexcept { return {data_, size_}; }

private:
    char *map_;
    size_t mapped_;
    char *data_;
    size_t size_;
};

/// The engine, as the plugin sees it here.
class KitHost {
public:
    /// `reader`: for status sources; borrowed. Null: there is none.
    explicit KitHost(const lb_reader *reader = nullptr);
    KitHost(const KitHost &) = delete;
    KitHost &operator=(const KitHost &) = delete;
    const lb_host *get() const noexcept { return &raw_; }

private:
    lb_host raw_{};
    const lb_reader *reader_;
};

/// An opened instance. Calls of a table that takes one at a time are made so, as an engine makes them.
template <class Table>
class Instance {
public:
    static constexpr const char *interface()
    {
        if constexpr (requires(Table t) { t.create; }) return "store";
        else if constexpr (requires(Table t) { t.launch; }) return "process";
        else return "status";
    }
    /// "lb_store"
    static std::string table_name()
    {
        const std::string_view name = interface();
        return name == "store" ? "lb_store" : name == "status" ? "lb_status_source" : "lb_process_controller";
    }

    /// Skips the check where the library has no such interface; fails where it does not open.
    explicit Instance(Context &context, const lb_reader *reader = nullptr)
        : Instance(context, context.config(interface()), reader)
    {
        if (opened_.ok()) return;
        fail("lb_*.open: " + described(opened_) + ", with the configuration " + context.config(interface()));
    }
    /// The same with another configuration; whether it opened stands in opened().
    Instance(Context &context, const std::string &config, const lb_reader *reader)
        : host_(reader), table_(needed(context))
    {
        lb_error error = abi::sized<lb_error>();
        const Calling calling(table_name() + ".open");
        opened_.what = table_name() + ".open";
        try {
            opened_.code = table_.open(host_.get(), abi::str(config), &self_, &error);
        } catch (...) {
            threw("open");
        }
        opened_.sentence = std::string(error.message, ::strnlen(error.message, sizeof error.message));
    }
    ~Instance() { close(); }
    Instance(const Instance &) = delete;
    Instance &operator=(const Instance &) = delete;

    void close()
    {
        if (!opened_.ok() || closed_) return;
        closed_ = true;
        const Calling calling(table_name() + ".close");
        if (table_.close) table_.close(self_);
    }

    const Answer &opened() const noexcept { return opened_; }
    const Table &table() const noexcept { return table_; }
    bool parallel() const noexcept { return table_.threads == LB_PARALLEL; }
    void *self() const noexcept { return self_; }
    uint64_t capabilities() const
    {
        if constexpr (requires { table_.capabilities; }) {
            const Calling calling(table_name() + ".capabilities");
            return table_.capabilities ? table_.capabilities(self_) : 0;
        }
        return 0;
    }

    /// Calls `table.*function(self, args..., &error)`. A function that is not there answers LB_UNSUPPORTED.
    template <class Function, class... Args>
    Answer call(const char *name, const std::string &object, Function Table::*function, Args... args) const
    {
        Answer out{table_name() + "." + name + (object.empty() ? "" : " of " + object), LB_OK, {}};
        const Function entry = table_.*function;
        if (!entry) {
            out.code = LB_UNSUPPORTED;
            out.sentence = table_name() + "." + name + " is not there";
            return out;
        }
        // What stands behind the error is looked at: it is as large as its size says, and not larger.
        struct {
            lb_error error;
            unsigned char behind[64];
        } memory;
        std::memset(&memory, 0x5a, sizeof memory);
        memory.error = abi::sized<lb_error>();
        std::unique_lock<std::mutex> turn(mutex_, std::defer_lock);
        if (!parallel()) turn.lock();
        const Calling calling(table_name() + "." + name);
        try {
            out.code = entry(self_, args..., &memory.error);
        } catch (...) {
            threw(name);
        }
        for (const unsigned char byte : memory.behind)
            expect(byte == 0x5a, out.what + ": wrote behind the lb_error that it was given, whose struct_size is " +
                                     std::to_string(sizeof(lb_error)));
        out.sentence = std::string(memory.error.message, ::strnlen(memory.error.message, sizeof memory.error.message));
        expect(out.code >= LB_OK && out.code <= LB_REFUSED,
               out.what + ": returned " + std::to_string(out.code) + ", which is no code of the contract");
        return out;
    }

private:
    static Table needed(Context &context)
    {
        const std::optional<Table> found = context.table<Table>(interface());
        if (!found) skip(std::string("the library has no ") + interface());
        if (!found->open) fail(table_name() + ".open is not there, and without it nothing is");
        return *found;
    }
    [[noreturn]] static void threw(const std::string &name)
    {
        std::string what = "of unknown type";
        try {
            throw;
        } catch (const Failure &) {
            throw;
        } catch (const std::exception &e) {
            what = e.what();
        } catch (...) {
        }
        fail("an exception left " + table_name() + "." + name + " (" + what +
             "); catch it and return a code, for nothing unwinds across the contract (rule 4)");
    }

    KitHost host_;
    Table table_;
    Answer opened_;
    void *self_ = nullptr;
    bool closed_ = false;
    mutable std::mutex mutex_;
};

/// A receiver that collects, says "enough" after so many calls, and notices when it is called after that.
template <class... Args>
class Collector {
public:
    explicit Collector(std::function<void(Args...)> each, size_t enough = SIZE_MAX) : each_(std::move(each)), enough_(enough) {}
    static int receive(void *ctx, Args... args) noexcept
    {
        Collector &self = *static_cast<Collector *>(ctx);
        const std::lock_guard<std::mutex> lock(self.mutex_);
        if (self.count_ >= self.enough_) self.after_enough_ = true;
        ++self.count_;
        self.each_(args...);
        return self.count_ >= self.enough_ ? 1 : 0;
    }
    size_t count() const noexcept { return count_; }
    bool after_enough() const noexcept { return after_enough_; }

private:
    std::function<void(Args...)> each_;
    size_t enough_;
    size_t count_ = 0;
    bool after_enough_ = false;
    std::mutex mutex_;
};

}  // namespace litbuild::conformance
