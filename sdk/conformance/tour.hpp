// A walk through everything that an interface offers, whose answers nobody looks at: for checks of what it leaves behind.
#pragma once

#include <map>
#include <memory>

#include "calls.hpp"
#include "store.hpp"

namespace litbuild::conformance {

/// Builds of the team "contoso", as a status source reads them through the engine: 1 is complete, 2 is running, 3 has no word
/// of its state, 666 cannot be read: LB_UNAVAILABLE. Nobody knows any other.
class KitReader {
public:
    enum class Mode { good, broken };   ///< broken: every read is LB_UNAVAILABLE
    static constexpr int64_t broken_build = 666;

    explicit KitReader(const std::filesystem::path &folder, Mode mode = Mode::good);
    KitReader(const KitReader &) = delete;
    KitReader &operator=(const KitReader &) = delete;

    const lb_reader *get() const noexcept { return &raw_; }
    void set(Mode mode) noexcept { mode_.store(mode); }
    bool asked() const noexcept { return asked_.load(); }
    /// More of events.jsonl and another status.json of build 2.
    void complete_running_build();

private:
    int32_t read(const lb_build *build, lb_str name, uint64_t offset, uint64_t max, lb_text_fn fn, void *ctx,
                 lb_error *error) const;

    lb_reader raw_{};
    std::atomic<Mode> mode_;
    mutable std::atomic<bool> asked_{false};
    mutable std::mutex mutex_;
    std::map<std::string, std::string> files_;   ///< "1/status.json"
};

/// The folder of a build that a runner can run, with a spec of one step: a shell script.
struct RunnableBuild {
    RunnableBuild(const std::filesystem::path &root, const std::string &script);
    BuildName name{"contoso", 1};
    std::string uuid;
    std::filesystem::path folder;
};

/// `call`: null has no limits.
void tour(Context &context, const Instance<lb_store> &store, const lb_call *call = nullptr);
void tour(Context &context, const Instance<lb_status_source> &source, const lb_call *call = nullptr);
void tour(Context &context, const Instance<lb_process_controller> &controller, const lb_call *call = nullptr);

/// With texts that no zero byte ends and that are gone once the call returns.
void guarded_tour(Context &context, const Instance<lb_store> &store);
void guarded_tour(Context &context, const Instance<lb_status_source> &source);
void guarded_tour(Context &context, const Instance<lb_process_controller> &controller);

/// A request that fails; its code. Skips where it does not.
int32_t fails(const Instance<lb_store> &store, const lb_call *call, lb_error *error);
int32_t fails(const Instance<lb_status_source> &source, const lb_call *call, lb_error *error);
int32_t fails(const Instance<lb_process_controller> &controller, const lb_call *call, lb_error *error);

}  // namespace litbuild::conformance
