// A status source with one fault at a time; the configuration says which: {"fault": "guesses"}.
#include <litbuild/export.hpp>

#include <chrono>
#include <thread>

namespace {

using namespace litbuild;

/// Reads one word: the state in status.json.
class BadStatus final : public StatusSource {
public:
    BadStatus(const Host &host, std::string_view config) : config_(config), read_(host.reader()) {}

    Status status(const Call &call, const BuildName &build) override
    {
        Status out;
        std::string text;
        try {
            read_(call, build, "status.json", 0, 0, [&](std::string_view piece) {
                text += piece;
                return true;
            });
        } catch (const Error &e) {
            // "guesses" takes what it could not read for what is not there.
            if (e.code() != Code::not_found && !has("guesses")) throw;
            return out;
        }
        for (const State state : {State::running, State::complete})
            if (text.find("\"state\":\"" + std::string(name(state)) + "\"") != text.npos) out.state = state;
        out.time = 1;
        out.steps.resize(1);
        if (has("wrong-parent")) out.steps[0].parent = 3;
        return out;
    }
    void poll(const Call &call, const BuildName &, uint64_t, const EventSink &) override
    {
        if (has("deaf"))
            for (;;) std::this_thread::sleep_for(std::chrono::seconds(1));
        while (!call.expired() && !call.cancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
        if (has("late-is-an-error")) call.check("bad-status");
    }

private:
    bool has(const std::string &fault) const { return config_.find("\"" + fault + "\"") != config_.npos; }

    std::string config_;
    FileReader read_;
};

}  // namespace

LITBUILD_PLUGIN("bad-status", "1.0.0", litbuild::StatusOf<BadStatus>)
