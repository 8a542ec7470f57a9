// What outlives the process, and what the capabilities promise.
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>

#include "checks.hpp"
#include "crowd.hpp"
#include "store.hpp"

namespace litbuild::conformance {

namespace {

/// A process does everything and is killed without `close`; another one looks.
void outlives_a_kill(Context &context)
{
    const std::string team = fresh_team();
    const std::string did = in_process(End::killed, [&] {
        // Never destroyed, so never closed.
        const Store &store = *new Store(context);
        const BuildName build = store.made(team, {{"log", "a line\n"}});
        const BuildName moved = store.made(team);
        std::string done = std::to_string(build.runid) + " " + std::to_string(moved.runid);
        const auto tried = [&](const char *what, const Answer &answer) {
            if (answer.code == LB_UNSUPPORTED) return;
            expect_ok(answer);
            done += std::string(" ") + what;
        };
        tried("tags", store.edit_tags(build, {"kept"}));
        tried("control", store.write_control(build, "stop", "please"));
        tried("archived", store.archive(moved));
        return done + " ";
    });
    const auto has = [&](const char *what) { return did.find(std::string(" ") + what + " ") != did.npos; };
    size_t used = 0;
    const BuildName build{team, std::stoll(did, &used)}, moved{team, std::stoll(did.substr(used))};
    const Store store(context);
    const std::string after = " after a process that had made it, with LB_OK, was killed";
    const Answer found = store.find(build);
    expect(found.ok(), to_string(build) + ": is not there" + after + ": " + described(found));
    expect_same("log of " + to_string(build) + after, quote("a line\n"), quote(store.text(build, "log")));
    if (has("tags")) expect_same("tags of " + to_string(build) + after, "kept", store.tag_list(build));
    if (has("control"))
        expect_same(".control/stop of " + to_string(build) + after, quote("please"), quote(store.text(build, ".control/stop")));
    if (has("archived")) {
        const Told<Entry> there = store.find(moved);
        expect_ok(there);
        expect(there.value.archived, to_string(moved) + ": is not archived" + after);
    }
    const BuildName next = store.made(team);
    expect(next.runid != build.runid && next.runid != moved.runid, to_string(next) + ": this run id was given before the kill");
}

void close_and_open(Context &context)
{
    BuildName build;
    std::string tags;
    {
        Store store(context);
        build = store.made(fresh_team(), {{"log", "a line\n"}});
        (void)store.edit_tags(build, {"kept"});
        tags = store.tag_list(build);
    }
    const Store store(context);
    expect_same("log of a build once its store was closed and opened again", quote("a line\n"),
                quote(store.text(build, "log")));
    expect_same("its tags", tags, store.tag_list(build));
    const Told<std::vector<std::string>> teams = store.teams();
    expect_ok(teams);
    expect(std::find(teams.value.begin(), teams.value.end(), build.team) != teams.value.end(),
           build.team + ": is no team any more");
}

void local_path(Context &context)
{
    const Store store(context);
    if (!store.promises(LB_STORE_LOCAL_PATH)) skip("the store does not promise LB_STORE_LOCAL_PATH");
    const BuildName build = store.made(fresh_team(), {{"log", "a line\n"}});
    const auto look = [&](const Told<Entry> &entry) {
        expect_ok(entry);
        const std::filesystem::path path = entry.value.path;
        expect(path.is_absolute() && std::filesystem::is_directory(path),
               entry.what + ": its path " + quote(path.string()) +
                   " is no absolute path of a folder here, as LB_STORE_LOCAL_PATH promises");
        expect(std::filesystem::exists(path / "log"), entry.what + ": there is no log in its path " + path.string());
    };
    look(store.find(build));
    const Told<Entry> archived = store.archive(build);
    if (archived.code != LB_UNSUPPORTED) look(archived);
}

void capabilities(Context &context)
{
    const Store store(context);
    const uint64_t found = store.instance().capabilities();
    const uint64_t known = LB_STORE_DURABLE | LB_STORE_SHARED | LB_STORE_LOCAL_PATH;
    if ((context.plugin().abi & 0xffff) <= LITBUILD_ABI_MINOR)
        expect((found & ~known) == 0, "lb_store.capabilities: has bits that contract 1." + std::to_string(LITBUILD_ABI_MINOR) +
                                          " does not know: " + std::to_string(found & ~known));
    store.made(fresh_team());
    expect(found == store.instance().capabilities(), "lb_store.capabilities: changed while the store was open");
}

/// From here on nothing in this process reaches a disk for certain: every call that would wait for it fails with EIO.
/// False: the kernel does not let it.
bool break_the_disk()
{
#if defined(__x86_64__)
    constexpr uint32_t arch = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
    constexpr uint32_t arch = AUDIT_ARCH_AARCH64;
#else
    return false;
#endif
    const auto load = [](size_t at) { return sock_filter(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(at))); };
    std::vector<sock_filter> code = {load(offsetof(seccomp_data, arch)), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, arch, 1, 0),
                                     BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW), load(offsetof(seccomp_data, nr))};
    const auto refuse = [&](long number, uint32_t error) {
        code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(number), 0, 1));
        code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error));
    };
    for (const long number : {SYS_fsync, SYS_fdatasync, SYS_syncfs, SYS_msync}) refuse(number, EIO);
    refuse(SYS_io_uring_setup, ENOSYS);
    code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    const sock_fprog program = {static_cast<unsigned short>(code.size()), code.data()};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0;
}

void durable(Context &context)
{
    const Store store(context);
    if (!store.promises(LB_STORE_DURABLE)) skip("the store does not promise LB_STORE_DURABLE");
    if (!store.promises(LB_STORE_LOCAL_PATH)) skip("it keeps its builds where no fsync of this process tells of them");
    const BuildName build = store.made(fresh_team());
    const BuildName other = store.made(build.team);
    const Answer archived = store.archive(other);
    if (!break_the_disk()) skip("the kernel does not let the kit make fsync fail (seccomp)");
    const auto lies = [](const Answer &answer) {
        expect(!answer.ok(),
               answer.what + ": is LB_OK although fsync, fdatasync, syncfs and msync all fail here. LB_STORE_DURABLE promises "
                             "that it outlives a power cut, and that is known only once one of them has said so");
    };
    lies(store.create(new_build(build.team)));
    lies(store.write_control(build, "stop", "please"));
    lies(store.edit_tags(build, {"kept"}));
    lies(store.archive(build));
    if (archived.ok()) lies(store.restore(other));
}

constexpr Check checks[] = {
    {"store.outlives-a-kill", "What was LB_OK is there for other processes, also where the one that did it is killed.",
     "lb_store", outlives_a_kill},
    {"store.close-and-open", "What was made is there when the store is opened again.", "lb_store.close", close_and_open},
    {"store.capabilities", "The capabilities are known ones and stay what they are.", "lb_store.capabilities", capabilities},
    {"store.local-path", "LB_STORE_LOCAL_PATH: the path of a build can be opened by this process.", "LB_STORE_LOCAL_PATH",
     local_path},
    {"store.durable", "LB_STORE_DURABLE: nothing is LB_OK before it is on disk.", "LB_STORE_DURABLE", durable},
};

}  // namespace

std::span<const Check> store_promise_checks() { return checks; }

}  // namespace litbuild::conformance
