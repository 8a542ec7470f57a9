#include "supervisor.hpp"

#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "spawn_step.hpp"

// Where the linker puts the program.
extern "C" const char __executable_start;

namespace runner {

using boost::json::object;
using boost::json::value;
using litbuild::State;
using litbuild::Status;
using litbuild::Step;
using litbuild::linux_::Cgroup;
using litbuild::linux_::Descriptor;
using Sync = Journal::Sync;
using namespace std::chrono_literals;

namespace {

constexpr size_t most_steps = 1000;
constexpr int most_reaped_at_once = 64;
constexpr auto progress_interval = 500ms;
constexpr auto look_interval = 2s;

std::string signal_text(int signal)
{
    const char *name = ::sigabbrev_np(signal);
    return "signal " + std::to_string(signal) + (name ? " (SIG" + std::string(name) + ")" : "");
}

/// On these file systems nobody tells what other hosts change.
bool is_shared_by_hosts(int folder)
{
    struct statfs info{};
    if (::fstatfs(folder, &info) != 0) return false;
    constexpr uint32_t nfs = 0x6969, smb = 0x517b, smb2 = 0xfe534d42, cifs = 0xff534d42, fuse = 0x65735546, plan9 = 0x01021997,
                       ceph = 0x00c36400, lustre = 0x0bd00bd0, gpfs = 0x47504653, afs = 0x5346414f, ocfs2 = 0x7461636f,
                       gfs2 = 0x01161970, beegfs = 0x19830326;
    for (const uint32_t kind : {nfs, smb, smb2, cifs, fuse, plan9, ceph, lustre, gpfs, afs, ocfs2, gfs2, beegfs})
        if (static_cast<uint32_t>(info.f_type) == kind) return true;
    return false;
}

// The pages of the start are not needed while the build runs. Only what is mapped read-only is given back: it comes from
// the page cache again when it is needed. A program that the loader moved (a sanitizer's) is left as it is.
void give_back_pages()
{
    ::malloc_trim(0);
    const auto *header = reinterpret_cast<const ElfW(Phdr) *>(::getauxval(AT_PHDR));
    const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
    for (size_t i = 0; i < ::getauxval(AT_PHNUM); ++i) {
        if (header[i].p_type != PT_LOAD || (header[i].p_flags & PF_W) != 0) continue;
        if (header[i].p_offset == 0 && header[i].p_vaddr != reinterpret_cast<uintptr_t>(&__executable_start)) return;
        const uintptr_t from = header[i].p_vaddr / page * page;
        ::madvise(reinterpret_cast<void *>(from), header[i].p_vaddr + header[i].p_memsz - from, MADV_DONTNEED);
    }
}

}  // namespace

Supervisor::Supervisor(const Setup &setup, Journal &journal, int folder)
    : setup_(setup), journal_(journal), folder_(folder), report_(std::in_place, setup.object(), folder)
{
    const auto need = [&](Descriptor &out, int fd, const char *what) {
        out.reset(fd);
        if (!out) throw litbuild::os_error(setup.object(), what, errno);
    };
    if (!setup.kill_group.empty()) {
        group_ = Cgroup::open(setup.kill_group);
        group_events_.reset(::open((setup.kill_group + "/cgroup.events").c_str(), O_RDONLY | O_CLOEXEC));
        see_group_events();
    }
    need(log_, ::openat(folder, "log", O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666), "open its log");
    sigset_t heard_signals;
    ::sigemptyset(&heard_signals);
    for (const int signal : {SIGCHLD, SIGIO, SIGTERM, SIGINT, SIGHUP, SIGQUIT}) ::sigaddset(&heard_signals, signal);
    ::sigprocmask(SIG_SETMASK, &heard_signals, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
    need(signals_, ::signalfd(-1, &heard_signals, SFD_CLOEXEC | SFD_NONBLOCK), "read signals");
    // What others do in the folder of requests comes as SIGIO. Not by inotify: who ends with one open is held up by the
    // kernel for some 5 ms, and with it everybody who waits for the end of a stop.
    need(control_, ::openat(folder, ".control", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), "open its .control");
    const bool is_told = ::fcntl(control_.get(), F_NOTIFY, DN_CREATE | DN_RENAME | DN_DELETE | DN_MODIFY | DN_MULTISHOT) == 0;
    is_shared_ = setup.is_shared || is_shared_by_hosts(folder);
    must_look_ = !is_told || is_shared_;
    if (must_look_) look_due_ = Clock::now() + look_interval;

    journal_.status().state = State::running;
    if (setup.time_limit > 0ms) build_due_ = Clock::now() + setup.time_limit;
}

// What is not read stays ready, and poll() would return at once for ever.
void Supervisor::see_group_events() const
{
    char events[256];
    if (group_events_) (void)!::pread(group_events_.get(), events, sizeof events, 0);
}

void Supervisor::begin()
{
    beat();
    journal_.reserve_room();
    write("running", {{"detail", journal_.detail()}}, Sync::no);
}

// In place, so that it costs one write and no disk space; the file server gives it the time. The number stands in front and
// never gets shorter. Where it cannot be written, that is no reason to end a build.
void Supervisor::beat()
{
    if (!is_shared_) return;
    if (beat_end_.empty()) {
        beat_end_ = "\nhost " + litbuild::linux_::host_name() + "\nboot " + litbuild::linux_::boot_id() + "\n";
    }
    const std::string text = "beat " + std::to_string(looks_ / 2) + beat_end_;
    const Descriptor file(::openat(control_.get(), "beat", O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666));
    if (file) (void)!::pwrite(file.get(), text.data(), text.size(), 0);
}

int Supervisor::run()
{
    // A stop may have been asked for before there was anybody to hear it.
    read_requests();
    for (;;) {
        see_ends();
        if (phase_ == Phase::running && leader_ == 0) start_next_step();
        if (phase_ != Phase::running && leader_ == 0 && tree_is_empty()) return last_word();
        advance();
        sleep();
    }
}

// ------------------------------------------------------------------------------------------------- steps

void Supervisor::start_next_step()
{
    const size_t index = next_step_++;
    const StepSpec &spec = setup_.steps[index];
    Status &status = journal_.status();
    step_ = index;
    status.steps[index].state = State::running;
    status.current_step = index;
    status.message.clear();
    status.progress = static_cast<double>(index) / static_cast<double>(setup_.steps.size());
    write("step_started", {{"step", index}}, Sync::no);
    if (phase_ != Phase::running) return;

    StartedStep started = spawn_step(setup_, spec, log_.get());
    if (started.error != 0) {
        step_not_started(started.error);
        return;
    }
    leader_ = started.pid;
    words_ = std::move(started.words);
    if (spec.time_limit > 0ms) step_due_ = Clock::now() + spec.time_limit;
}

void Supervisor::hear_words()
{
    StepWord word{};
    while (words_) {
        const ssize_t got = ::read(words_.get(), &word, sizeof word);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EAGAIN) return;
        if (got != sizeof word) {
            words_.reset();
            return;
        }
        if (word.kind == StepWord::not_in_groups && group_) {
            group_ = Cgroup();
            group_events_.reset();
            journal_.detail()["containment"] = setup_.pid_namespace ? "pid-namespace" : "subreaper";
        }
        if (word.kind == StepWord::not_started) step_not_started(word.value);
        if (word.kind == StepWord::ended) step_ended(word.value);
    }
}

void Supervisor::step_not_started(int error)
{
    leader_ = 0;
    step_due_ = {};
    if (!step_) return;
    const StepSpec &spec = setup_.steps[*step_];
    journal_.status().steps[*step_].state = State::error;
    write("step_ended", {{"step", *step_}, {"state_of_step", "error"}}, Sync::no);
    step_.reset();
    if (!verdict_)
        decide({State::error, std::nullopt, 0,
                "step '" + spec.name + "': cannot start '" + clean(spec.command[0], 200) + "': " + ::strerrordesc_np(error)});
}

void Supervisor::step_ended(int wait_status)
{
    leader_ = 0;
    step_due_ = {};
    if (!step_) return;
    // What it reported right before is told of it, not of the next one.
    hear_reports();
    if (progress_pending_) tell_progress();
    const size_t index = *step_;
    step_.reset();
    Step &step = journal_.status().steps[index];
    const bool by_signal = WIFSIGNALED(wait_status);
    const int code = by_signal ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
    const bool stopping = verdict_ && phase_ != Phase::lingering;
    const bool good = !by_signal && code == 0;
    step.state = good ? State::complete : stopping && verdict_->state == State::stopped ? State::stopped : State::failed;
    step.exit_code = code;
    step.signal = by_signal ? WTERMSIG(wait_status) : 0;
    if (good) step.progress = 1.0;
    end_part(step.state);
    object members = {{"step", index}, {"state_of_step", litbuild::name(step.state)}, {"exit", code}};
    if (by_signal) members["signal"] = step.signal;
    write("step_ended", std::move(members), Sync::no);
    if (good || verdict_) return;
    Verdict verdict{State::failed, code, step.signal, "step '" + step.name + "' "};
    if (ran_out_of_memory()) verdict.error += "ran out of memory: the limit of the build was reached";
    else if (by_signal && step.signal == SIGXCPU) verdict.error += "used up its CPU time limit";
    else if (by_signal) verdict.error += "was ended by " + signal_text(step.signal) + ", not sent by litbuild";
    else verdict.error += "exited with " + std::to_string(code);
    decide(std::move(verdict));
}

void Supervisor::end_part(State state)
{
    if (!part_) return;
    Step &part = journal_.status().steps[*part_];
    part.state = state;
    if (state == State::complete) part.progress = 1.0;
    const object members = {{"step", *part_}, {"state_of_step", litbuild::name(state)}};
    part_.reset();
    write("step_ended", members, Sync::no);
}

void Supervisor::decide(Verdict verdict)
{
    verdict_ = std::move(verdict);
    if (phase_ != Phase::running) return;
    phase_ = Phase::lingering;
    if (setup_.kill_left_overs) linger_due_ = Clock::now() + setup_.linger;
}

// What is not ended when the tree is empty has no process: it was never started, or its program is gone.
void Supervisor::close_steps()
{
    Status &status = journal_.status();
    for (Step &step : status.steps)
        if (is_active(step.state) && step.state != State::queued) step.state = State::stopped;
    status.current_step.reset();
}

bool Supervisor::reap()
{
    for (int reaped = 0; reaped < most_reaped_at_once; ++reaped) {
        int wait_status = 0;
        const pid_t pid = ::waitpid(-1, &wait_status, WNOHANG | __WALL);
        if (pid <= 0) return false;
        if (phase_ == Phase::killing && WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGKILL) ++killed_;
        if (pid != leader_) continue;
        // What it said before it ended comes first: that it never was the program, or how the program ended.
        hear_words();
        words_.reset();
        if (pid == leader_) step_ended(wait_status);
    }
    return true;
}

void Supervisor::see_ends()
{
    hear_words();
    more_to_reap_ = reap();
    if (phase_ == Phase::running && leader_ == 0 && next_step_ >= setup_.steps.size() && !verdict_)
        decide({State::complete, 0, 0, ""});
}

bool Supervisor::tree_is_empty() const
{
    siginfo_t info{};
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0 || errno != ECHILD) return false;
    return !group_ || !group_.populated();
}

// ---------------------------------------------------------------------------------------------- progress

void Supervisor::hear_reports()
{
    // What is heard may end a step, and before that is told, its reports are heard.
    if (is_hearing_) return;
    is_hearing_ = true;
    report_->drain([&](const Report &report) { heard(report); });
    is_hearing_ = false;
}

void Supervisor::heard(const Report &report)
{
    if (!step_) return;
    Status &status = journal_.status();
    if (report.part && status.steps.size() < most_steps) {
        end_part(State::complete);
        if (!step_) return;
        Step part;
        part.name = *report.part;
        part.parent = static_cast<int>(*step_);
        part.state = State::running;
        status.steps.push_back(part);
        part_ = status.steps.size() - 1;
        write("step_started", {{"step", *part_}, {"name", part.name}, {"parent", part.parent}}, Sync::no);
        return;
    }
    if (report.part) status.message = *report.part;
    if (!report.message.empty()) status.message = report.message;
    if (report.progress) {
        Step &step = status.steps[*step_];
        step.progress = report.progress;
        status.progress = (static_cast<double>(*step_) + *report.progress) / static_cast<double>(setup_.steps.size());
    }
    if (!progress_pending_) progress_due_ = std::max(Clock::now(), progress_told_ + progress_interval);
    progress_pending_ = true;
}

void Supervisor::tell_progress()
{
    progress_pending_ = false;
    progress_told_ = Clock::now();
    const Status &status = journal_.status();
    object members;
    if (step_) {
        members["step"] = *step_;
        if (status.steps[*step_].progress) members["progress"] = *status.steps[*step_].progress;
    }
    if (!status.message.empty()) members["message"] = status.message;
    try {
        journal_.write("progress", std::move(members), Sync::no);
    } catch (const litbuild::Error &) {
        // Progress is not worth a build.
    }
}

// -------------------------------------------------------------------------------------------------- loop

bool Supervisor::is_being_removed() const
{
    return ::faccessat(folder_, ".control/report", F_OK, AT_SYMLINK_NOFOLLOW) != 0;
}

void Supervisor::advance()
{
    const Clock::time_point now = Clock::now();
    const auto is_due = [&](Clock::time_point time) { return time != Clock::time_point{} && now >= time; };
    if (progress_pending_ && is_due(progress_due_)) tell_progress();
    if (is_due(look_due_)) {
        look_due_ = must_look_ ? now + look_interval : Clock::time_point{};
        read_requests();
        if (++looks_ % 2 == 0) beat();
        if (journal_.is_removed()) request("nobody", "its folder was removed", setup_.stop);
        // What goes from a removal's first deed to its last may take long, and the last tells nothing.
        else if (!must_look_ && is_being_removed()) look_due_ = now + 1s;
    }
    if (!verdict_ && (is_due(step_due_) || is_due(build_due_))) time_limit_reached();
    if (phase_ == Phase::lingering && is_due(linger_due_)) begin_stop(setup_.stop);
    if (phase_ == Phase::stopping && (is_due(plan_due_) || is_due(kill_at_))) next_plan_step();
    if (phase_ != Phase::killing) return;
    if (is_due(kill_again_)) kill_pass();
    if (!survivors_named_ && is_due(plan_due_)) name_survivors();
}

Supervisor::Clock::time_point Supervisor::next_due() const
{
    Clock::time_point next{};
    const auto add = [&](Clock::time_point time) {
        if (time != Clock::time_point{} && (next == Clock::time_point{} || time < next)) next = time;
    };
    if (progress_pending_) add(progress_due_);
    add(look_due_);
    if (!verdict_) {
        add(step_due_);
        add(build_due_);
    }
    if (phase_ == Phase::lingering) add(linger_due_);
    if (phase_ == Phase::stopping) {
        add(plan_due_);
        add(kill_at_);
    }
    if (phase_ == Phase::killing) add(kill_again_);
    return next;
}

void Supervisor::sleep()
{
    if (phase_ == Phase::running && leader_ == 0) return;
    int timeout = -1;
    if (const Clock::time_point due = next_due(); due != Clock::time_point{}) {
        const auto left = std::chrono::ceil<Milliseconds>(due - Clock::now());
        timeout = static_cast<int>(std::clamp<int64_t>(left.count(), 0, 1'000'000'000));
    }
    if (more_to_reap_) timeout = 0;
    // Only an ending build asks its group: while it runs, who is in it does not matter.
    const int events = phase_ == Phase::running ? -1 : group_events_.get();
    pollfd wait[4] = {{signals_.get(), POLLIN, 0},
                      {report_->fd(), POLLIN, 0},
                      {events, POLLPRI, 0},
                      {words_.get(), POLLIN, 0}};
    if (timeout < 0) give_back_pages();
    if (::poll(wait, 4, timeout) <= 0) return;

    if (wait[2].revents != 0) see_group_events();
    if ((wait[1].revents & POLLIN) != 0) hear_reports();
    bool look = false;
    signalfd_siginfo asked{};
    for (signalfd_siginfo signal; ::read(signals_.get(), &signal, sizeof signal) == sizeof signal;) {
        if (signal.ssi_signo == SIGIO) look = true;
        else if (signal.ssi_signo != SIGCHLD) asked = signal;
    }
    // The first that is seen of a removal of the whole.
    if (look && is_being_removed()) look_due_ = Clock::now() + 100ms;
    if (look || asked.ssi_signo != 0) read_requests();
    if (asked.ssi_signo == 0 || !requests_.empty()) return;
    const std::string whose = setup_.signaller.empty() ? "" : setup_.signaller + ", by ";
    request(whose + "signal " + std::to_string(asked.ssi_signo) + " from pid " + std::to_string(asked.ssi_pid) + " (uid " +
                std::to_string(asked.ssi_uid) + ")",
            "", setup_.stop);
}

void Supervisor::write(const char *type, object members, Sync sync)
{
    try {
        journal_.write(type, std::move(members), sync);
    } catch (const litbuild::Error &e) {
        if (verdict_) return;
        verdict_ = Verdict{State::error, std::nullopt, 0, e.what()};
        begin_stop(setup_.stop);
    }
}

}  // namespace runner
