// ProcessController over the table of a plugin.
#include "instance.hpp"

namespace litbuild::detail {

namespace {

class ImportedProcess final : public ProcessController {
public:
    ImportedProcess(const void *table, const PluginChoice &choice, const LogFunction &log)
        : plugin_(table, choice, log, nullptr)
    {
    }

    uint64_t capabilities() const override { return plugin_.capabilities(); }

    std::string launch(const Call &call, const LaunchSpec &spec) override
    {
        std::string token;
        Receiver<lb_str> receiver([&](lb_str text) {
            token = abi::text(text);
            return true;
        });
        std::vector<lb_str> argv, env;
        const lb_launch raw = abi::to_c(spec, argv, env);
        const OutgoingCall outgoing(call);
        plugin_.receive(to_string(spec.build), "launch", &lb_process_controller::launch, receiver, outgoing.get(),
                        &raw);
        if (token.empty() || token.size() > 4096)
            throw Error(Code::internal, to_string(spec.build) + ": plugin " + plugin_.name() + " gave no good token");
        return token;
    }

    Probe probe(const Call &call, const std::string &token) override
    {
        Probe out;
        Receiver<const lb_probe *> receiver = receive_probe(out);
        const OutgoingCall outgoing(call);
        plugin_.receive("process", "probe", &lb_process_controller::probe, receiver, outgoing.get(), abi::str(token));
        return out;
    }

    Probe wait(const Call &call, const std::string &token) override
    {
        Probe out;
        Receiver<const lb_probe *> receiver = receive_probe(out);
        for (;;) {
            const Call part = plugin_.serial() ? call.at_most(slice) : call;
            const OutgoingCall outgoing(part);
            plugin_.receive("process", "wait", &lb_process_controller::wait, receiver, outgoing.get(), abi::str(token));
            if (out.life == Life::gone || !part.expired() || call.expired()) return out;
        }
    }

    StopReport stop(const Call &call, const std::string &token, const std::string &uuid,
                    std::span<const StopStep> plan) override
    {
        StopReport out;
        out.outcome = StopOutcome::incomplete;
        Receiver<const lb_stop_report *> receiver([&](const lb_stop_report *report) {
            out = abi::from_c(report);
            return true;
        });
        const std::vector<lb_stop_step> steps = abi::to_c(plan);
        const OutgoingCall outgoing(call);
        plugin_.receive("process", "stop", &lb_process_controller::stop, receiver, outgoing.get(), abi::str(token),
                        abi::str(uuid), steps.data(), steps.size());
        return out;
    }

    void held(const Call &call, const std::string &team, const HeldSink &each) override
    {
        Receiver<const lb_held *> receiver([&](const lb_held *raw) {
            const Held held = abi::from_c(raw);
            // A name that could lead elsewhere is nobody's build, whatever the plugin says.
            return !is_team(held.build.team) || held.build.runid <= 0 || each(held);
        });
        const OutgoingCall outgoing(call);
        plugin_.receive("process", "held", &lb_process_controller::held, receiver, outgoing.get(), abi::str(team));
    }

    void forget(const Call &call, const std::string &token) override
    {
        const OutgoingCall outgoing(call);
        plugin_.call("process", "forget", &lb_process_controller::forget, outgoing.get(), abi::str(token));
    }

private:
    static Receiver<const lb_probe *> receive_probe(Probe &out)
    {
        return Receiver<const lb_probe *>([&out](const lb_probe *probe) {
            out = abi::from_c(probe);
            return true;
        });
    }

    Instance<lb_process_controller> plugin_;
};

}  // namespace

std::shared_ptr<ProcessController> import_process(const void *table, const PluginChoice &choice,
                                                  const LogFunction &log)
{
    return std::make_shared<ImportedProcess>(table, choice, log);
}

}  // namespace litbuild::detail
