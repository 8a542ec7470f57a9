// litbuild-slurm: one request to Slurm's controller through its C library.
//
// Reads a request on standard input, {"verb": "GET", "target": "/job/12", "body": {...}}, and writes the answer to standard
// output: those of slurmrestd's API v0.0.38 that the plugin asks for, and as slurmrestd would answer them. Whoever started it
// ends it at his deadline. A line break stands before the answer as soon as the controller may be asked.
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <iterator>
#include <list>
#include <string>
#include <vector>

#include <signal.h>
#include <unistd.h>

#include <slurm/slurm.h>
#include <slurm/slurm_errno.h>

#include <boost/json.hpp>

// Public, and missing in the headers of 22.05.
extern "C" {
extern char *slurm_job_state_string(uint32_t state);
extern char *slurm_job_reason_string(uint32_t reason);
}

namespace json = boost::json;

namespace {

struct Refused {
    int number;
    const char *source;
};

[[noreturn]] void refuse(const char *source) { throw Refused{::slurm_get_errno(), source}; }

std::string text(const char *from) { return from ? from : ""; }

json::object job_of(const slurm_job_info_t &job)
{
    const bool is_per_cpu = (job.pn_min_memory & MEM_PER_CPU) != 0;
    const char *state = ::slurm_job_state_string(job.job_state);
    const char *reason = ::slurm_job_reason_string(job.state_reason);
    return {{"job_id", job.job_id},
            {"name", text(job.name)},
            {"job_state", text(state)},
            {"state_reason", text(reason)},
            {"state_description", text(job.state_desc)},
            {"nodes", text(job.nodes)},
            {"batch_host", text(job.batch_host)},
            {"partition", text(job.partition)},
            {"cluster", text(job.cluster)},
            {"comment", text(job.comment)},
            {"submit_time", job.submit_time},
            {"start_time", job.start_time},
            {"end_time", job.end_time},
            {"restart_cnt", job.restart_cnt},
            {"exit_code", job.exit_code},
            {"time_limit", job.time_limit},
            {"memory_per_node", is_per_cpu ? json::value(nullptr) : json::value(job.pn_min_memory)}};
}

json::array jobs_of(job_info_msg_t *found)
{
    json::array out;
    for (uint32_t i = 0; i < found->record_count; ++i) out.push_back(job_of(found->job_array[i]));
    ::slurm_free_job_info_msg(found);
    return out;
}

json::object get_job(uint32_t id)
{
    job_info_msg_t *found = nullptr;
    if (::slurm_load_job(&found, id, SHOW_ALL | SHOW_LOCAL) != SLURM_SUCCESS) refuse("slurm_load_job");
    return {{"jobs", jobs_of(found)}};
}

/// Of this user; slurmrestd tells those of all.
json::object get_jobs()
{
    job_info_msg_t *found = nullptr;
    if (::slurm_load_job_user(&found, ::getuid(), SHOW_ALL | SHOW_LOCAL) != SLURM_SUCCESS) refuse("slurm_load_job_user");
    json::object out = {{"jobs", jobs_of(found)}};
    slurm_conf_t *conf = nullptr;
    if (::slurm_load_ctl_conf(0, &conf) == SLURM_SUCCESS) {
        out["cluster"] = text(conf->cluster_name);
        ::slurm_free_ctl_conf(conf);
    }
    return out;
}

json::object get_node(std::string name)
{
    node_info_msg_t *found = nullptr;
    if (::slurm_load_node_single(&found, name.data(), SHOW_ALL) != SLURM_SUCCESS) refuse("slurm_load_node_single");
    json::array nodes;
    for (uint32_t i = 0; i < found->record_count; ++i) {
        const uint32_t state = found->node_array[i].node_state;
        json::array flags;
        if ((state & NODE_STATE_NO_RESPOND) != 0) flags.emplace_back("NOT_RESPONDING");
        nodes.push_back({{"name", text(found->node_array[i].name)},
                         {"state", (state & NODE_STATE_BASE) == NODE_STATE_DOWN ? "down" : "up"},
                         {"state_flags", flags}});
    }
    ::slurm_free_node_info_msg(found);
    return {{"nodes", nodes}};
}

/// The words of a submission, as long as it lasts.
class Words {
public:
    char *keep(const json::value &from)
    {
        kept_.push_back(std::string(from.as_string()));
        return kept_.back().data();
    }
    char *keep(std::string from)
    {
        kept_.push_back(std::move(from));
        return kept_.back().data();
    }

private:
    std::list<std::string> kept_;
};

json::object submit(const json::object &body)
{
    const json::object &wanted = body.at("job").as_object();
    Words words;
    std::vector<char *> environment;
    for (const auto &[name, value] : wanted.at("environment").as_object())
        environment.push_back(words.keep(std::string(name) + "=" + std::string(value.as_string())));
    const auto put = [&](const char *key, char *&into) {
        if (const json::value *found = wanted.if_contains(key)) into = words.keep(*found);
    };
    job_desc_msg_t job;
    ::slurm_init_job_desc_msg(&job);
    job.script = words.keep(body.at("script"));
    job.user_id = ::getuid();
    job.group_id = ::getgid();
    job.environment = environment.data();
    job.env_size = static_cast<uint32_t>(environment.size());
    job.min_nodes = 1;
    put("name", job.name);
    put("comment", job.comment);
    put("partition", job.partition);
    put("account", job.account);
    put("qos", job.qos);
    put("constraints", job.features);
    put("current_working_directory", job.work_dir);
    put("standard_input", job.std_in);
    put("standard_output", job.std_out);
    put("standard_error", job.std_err);
    if (const json::value *found = wanted.if_contains("time_limit")) job.time_limit = found->to_number<uint32_t>();
    if (const json::value *found = wanted.if_contains("memory_per_node")) job.pn_min_memory = found->to_number<uint64_t>();
    if (const json::value *found = wanted.if_contains("requeue")) job.requeue = found->as_bool() ? 1 : 0;
    if (const json::value *found = wanted.if_contains("cpus_per_task")) {
        job.num_tasks = 1;
        job.cpus_per_task = found->to_number<uint16_t>();
        job.min_cpus = job.cpus_per_task;
        job.pn_min_cpus = job.cpus_per_task;
    }
    submit_response_msg_t *answer = nullptr;
    if (::slurm_submit_batch_job(&job, &answer) != SLURM_SUCCESS) refuse("slurm_submit_batch_job");
    const uint32_t id = answer->job_id;
    ::slurm_free_submit_response_response_msg(answer);
    return {{"job_id", id}};
}

/// TERM is for the batch script alone, and so for the runner: it tells the others.
json::object remove_job(uint32_t id, const std::string &signal)
{
    const bool is_request = signal == "TERM";
    const int done = is_request ? ::slurm_kill_job(id, SIGTERM, KILL_JOB_BATCH) : ::slurm_kill_job(id, SIGKILL, 0);
    if (done != SLURM_SUCCESS) refuse("slurm_kill_job");
    return {};
}

json::object answer_to(const json::value &request)
{
    const std::string verb(request.at("verb").as_string()), target(request.at("target").as_string());
    const std::string path = target.substr(0, target.find('?'));
    const auto id = [&] { return static_cast<uint32_t>(std::stoul(path.substr(std::string("/job/").size()))); };
    if (verb == "POST" && path == "/job/submit") return submit(request.at("body").as_object());
    if (verb == "GET" && path == "/jobs") return get_jobs();
    if (verb == "GET" && path.starts_with("/job/")) return get_job(id());
    if (verb == "GET" && path.starts_with("/node/")) return get_node(path.substr(std::string("/node/").size()));
    if (verb == "DELETE" && path.starts_with("/job/"))
        return remove_job(id(), target.ends_with("?signal=TERM") ? "TERM" : "KILL");
    throw std::invalid_argument("no such request: " + verb + " " + target);
}

}  // namespace

int main()
{
    const std::string given{std::istreambuf_iterator<char>(std::cin), {}};
    json::object out;
    try {
        const json::value request = json::parse(given);
        // Ends this program where it finds no configuration.
        ::slurm_init(nullptr);
        // From here on something may have been sent.
        std::cout << '\n' << std::flush;
        out = answer_to(request);
        out["errors"] = json::array();
    } catch (const Refused &e) {
        out["errors"] = json::array{{{"error_number", e.number}, {"error", ::slurm_strerror(e.number)}, {"source", e.source}}};
    } catch (const std::exception &e) {
        std::cerr << "litbuild-slurm: " << e.what() << "\n";
        return 1;
    }
    std::cout << json::serialize(out) << std::flush;
    // What the library registered for the end has nothing to do here.
    ::_exit(std::cout ? 0 : 1);
}
