// A store and a status source that take one call at a time, and notice when they do not get it.
#include <litbuild/export.hpp>

#include <atomic>
#include <thread>

#include <poll.h>

namespace {

using namespace litbuild;

/// Held by each call of one instance.
class Alone {
public:
    explicit Alone(std::atomic<int> &inside) : inside_(inside)
    {
        if (inside_.fetch_add(1) == 0) return;
        inside_.fetch_sub(1);
        throw Error(Code::internal, "serial-store: two calls at once");
    }
    ~Alone() { inside_.fetch_sub(1); }
    Alone(const Alone &) = delete;
    Alone &operator=(const Alone &) = delete;

private:
    std::atomic<int> &inside_;
};

class SerialStore final : public BuildStore {
public:
    SerialStore(const Host &, std::string_view) {}
    uint64_t capabilities() const override
    {
        Alone alone(inside_);
        return 0;
    }
    std::vector<std::string> teams(const Call &) override
    {
        Alone alone(inside_);
        rest();
        return {"contoso"};
    }
    void list(const Call &, const Query &, const EntrySink &each) override
    {
        Alone alone(inside_);
        for (int64_t runid = 3; runid > 0 && each({runid, false, "/nowhere"}); --runid) rest();
    }
    Entry find(const Call &, const BuildName &build) override
    {
        Alone alone(inside_);
        rest();
        return {build.runid, false, "/nowhere"};
    }
    std::vector<std::string> tags(const Call &, const BuildName &) override
    {
        Alone alone(inside_);
        rest();
        return {"one", "two"};
    }
    void read(const Call &, const BuildName &build, std::string_view name, uint64_t, uint64_t,
              const TextSink &sink) override
    {
        Alone alone(inside_);
        rest();
        if (name != "log") throw Error(Code::not_found, to_string(build) + ": no such file");
        sink("a line\n");
    }

private:
    static void rest() { std::this_thread::sleep_for(std::chrono::microseconds(100)); }
    mutable std::atomic<int> inside_{0};
};

class SerialStatus final : public StatusSource {
public:
    SerialStatus(const Host &, std::string_view) {}
    Status status(const Call &, const BuildName &) override
    {
        Alone alone(inside_);
        Status status;
        status.state = State::running;
        return status;
    }
    /// Nothing ever happens: waits as long as it may.
    void poll(const Call &call, const BuildName &, uint64_t, const EventSink &) override
    {
        Alone alone(inside_);
        while (!call.expired() && !call.cancelled()) {
            pollfd wait{call.cancel_fd(), POLLIN, 0};
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(call.left(std::chrono::hours(1)));
            ::poll(&wait, 1, static_cast<int>(left.count()));
        }
    }

private:
    std::atomic<int> inside_{0};
};

}  // namespace

LITBUILD_PLUGIN("serial-store", "1.0.0", litbuild::StoreOf<SerialStore, LB_SERIAL>,
                litbuild::StatusOf<SerialStatus, LB_SERIAL>)
