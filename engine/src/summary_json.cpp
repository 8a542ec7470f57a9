#include <boost/json.hpp>

#include <litbuild/engine.hpp>

namespace litbuild {

namespace json = boost::json;

namespace {

json::value time_value(Timestamp time)
{
    if (time == 0) return nullptr;
    return json::value(to_rfc3339(time));
}
json::value text_value(const std::string &text)
{
    if (text.empty()) return nullptr;
    return json::value(text);
}
template <class Number>
json::value number_value(const std::optional<Number> &number)
{
    if (!number) return nullptr;
    return json::value(*number);
}
json::value signal_value(int signal)
{
    if (signal == 0) return nullptr;
    return json::value(signal);
}

}  // namespace

std::string to_json(const Summary &summary)
{
    const Status &status = summary.status;
    json::array steps;
    for (const Step &step : status.steps)
        steps.push_back({{"name", step.name},
                         {"state", name(step.state)},
                         {"parent", step.parent < 0 ? json::value(nullptr) : json::value(step.parent)},
                         {"exit", number_value(step.exit_code)},
                         {"signal", signal_value(step.signal)},
                         {"started", time_value(step.started)},
                         {"ended", time_value(step.ended)},
                         {"progress", number_value(step.progress)}});
    boost::system::error_code error;
    json::value detail = json::parse(status.detail.empty() ? "null" : status.detail, error);
    if (error) detail = nullptr;
    const std::optional<std::string> current = status.step();
    return json::serialize(json::object{{"team", summary.name.team},
                                        {"runid", summary.name.runid},
                                        {"path", summary.path.string()},
                                        {"archived", summary.archived},
                                        {"tags", json::value_from(summary.tags)},
                                        {"state", name(status.state)},
                                        {"time", time_value(status.time)},
                                        {"step", current ? json::value(*current) : json::value(nullptr)},
                                        {"steps", std::move(steps)},
                                        {"progress", number_value(status.progress)},
                                        {"message", text_value(status.message)},
                                        {"exit", number_value(status.exit_code)},
                                        {"signal", signal_value(status.signal)},
                                        {"error", text_value(status.error)},
                                        {"stopped_by", text_value(status.stopped_by)},
                                        {"reason", text_value(status.reason)},
                                        {"created", time_value(status.created)},
                                        {"started", time_value(status.started)},
                                        {"ended", time_value(status.ended)},
                                        {"as_of_ms", status.as_of.count()},
                                        {"detail", std::move(detail)}});
}

std::string to_json(const StopResult &result, const BuildName &build)
{
    json::array survivors;
    for (const ProcessInfo &info : result.report.survivors)
        survivors.push_back({{"pid", info.pid},
                             {"command", info.command},
                             {"state", info.state ? json::value(std::string(1, info.state)) : json::value(nullptr)},
                             {"where", text_value(info.where)},
                             {"doubt", text_value(info.doubt)}});
    return json::serialize(json::object{
        {"team", build.team},
        {"runid", build.runid},
        {"outcome", name(result.outcome)},
        {"message", result.message},
        {"took_ms", std::chrono::duration_cast<std::chrono::milliseconds>(result.report.took).count()},
        {"mechanism", text_value(result.report.mechanism)},
        {"killed", result.report.killed},
        {"survivors", std::move(survivors)}});
}

}  // namespace litbuild
