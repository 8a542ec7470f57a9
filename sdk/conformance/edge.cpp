// What holds for every interface: sizes, texts, errors, and the manners of a guest in somebody else's process.
#include <dirent.h>
#include <fcntl.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <deque>
#include <map>

#include <litbuild/linux/proc.hpp>

#include "checks.hpp"
#include "tour.hpp"

namespace litbuild::conformance {

namespace {

// --------------------------------------------------------------------------------------------------------- the table

/// Bytes of a table in each minor version of the contract.
template <class Table>
std::vector<size_t> sizes_by_minor();
template <>
std::vector<size_t> sizes_by_minor<lb_store>()
{
    return {offsetof(lb_store, examine), offsetof(lb_store, age), offsetof(lb_store, version), offsetof(lb_store, version),
            sizeof(lb_store)};
}
template <>
std::vector<size_t> sizes_by_minor<lb_status_source>()
{
    return {sizeof(lb_status_source), sizeof(lb_status_source), sizeof(lb_status_source)};
}
template <>
std::vector<size_t> sizes_by_minor<lb_process_controller>()
{
    constexpr size_t first = offsetof(lb_process_controller, wait) + sizeof(lb_process_controller::wait);
    return {first, first, first};
}

template <class Table>
void table(Context &context)
{
    const void *raw = context.raw_table(Instance<Table>::interface());
    if (!raw) skip(std::string("the library has no ") + Instance<Table>::interface());
    const Table *found = static_cast<const Table *>(raw);
    const std::string name = Instance<Table>::table_name();
    const unsigned minor = context.plugin().abi & 0xffff;
    std::vector<size_t> sizes = sizes_by_minor<Table>();
    if (sizes.size() <= LITBUILD_ABI_MINOR) sizes.resize(LITBUILD_ABI_MINOR + 1, sizeof(Table));
    const std::string says = name + ".struct_size is " + std::to_string(found->struct_size);
    if (minor <= LITBUILD_ABI_MINOR) {
        const size_t expected = sizes[minor];
        expect(found->struct_size == expected,
               says + ", but litbuild_plugin_v1.abi says contract 1." + std::to_string(minor) + ", whose " + name + " has " +
                   std::to_string(expected) + " bytes; set it to sizeof of the table, with the header that abi is of");
    } else {
        expect(found->struct_size >= sizeof(Table) && found->struct_size < 65536,
               says + "; contract 1." + std::to_string(LITBUILD_ABI_MINOR) + " has " + std::to_string(sizeof(Table)) +
                   " bytes already, and litbuild_plugin_v1.abi says 1." + std::to_string(minor));
    }
    expect(found->threads == LB_SERIAL || found->threads == LB_PARALLEL,
           name + ".threads is " + std::to_string(found->threads) + "; LB_SERIAL (0) and LB_PARALLEL (1) are");
    const Table copied = abi::copy(found);
    expect(copied.open && copied.close, name + ": open and close are needed");
}

// ------------------------------------------------------------------------------------------------------ open and close

template <class Table>
void open_bad_config(Context &context)
{
    const KitReader reader(context.folder());
    for (const char *config : {"", "{", "[]", "null", "{\"root\":7}", "\xff\xfe", "{\"root\":\"/no/such/folder/at/all\"}"}) {
        Instance<Table> instance(context, config, reader.get());
        const Answer &opened = instance.opened();
        if (opened.ok()) continue;
        expect(opened.code >= LB_OK && opened.code <= LB_REFUSED,
               opened.what + ": returned " + std::to_string(opened.code) + ", which is no code of the contract");
        expect(!opened.sentence.empty(), opened.what + " with the configuration " + quote(config) + ": returned " +
                                             code_name(opened.code) + " and no sentence that says why");
    }
}

template <class Table>
void open_twice(Context &context)
{
    const KitReader reader(context.folder());
    Instance<Table> first(context, reader.get());
    {
        Instance<Table> second(context, reader.get());
        tour(context, second);
    }
    tour(context, first);
    first.close();
    Instance<Table> third(context, reader.get());
    tour(context, third);
}

// ------------------------------------------------------------------------------------------------------------- errors

template <class Table>
void null_error(Context &context)
{
    const KitReader reader(context.folder());
    Instance<Table> instance(context, reader.get());
    const Calling calling(Instance<Table>::table_name() + " with a null lb_error");
    expect(fails(instance, nullptr, nullptr) != LB_OK,
           Instance<Table>::table_name() + ": a request that makes no sense is LB_OK");
}

template <class Table>
void short_error(Context &context)
{
    const KitReader reader(context.folder());
    Instance<Table> instance(context, reader.get());
    const Calling calling(Instance<Table>::table_name() + " with a short lb_error");
    for (const uint32_t size : {uint32_t{4}, uint32_t{8}, uint32_t{9}, uint32_t{24}, uint32_t{100}}) {
        struct {
            lb_error error;
            char behind[4];
        } memory;
        std::memset(&memory, 0x5a, sizeof memory);
        memory.error.struct_size = size;
        fails(instance, nullptr, &memory.error);
        const char *const bytes = reinterpret_cast<const char *>(&memory);
        for (size_t i = size; i < sizeof memory; ++i)
            expect(bytes[i] == 0x5a, "an lb_error whose struct_size is " + std::to_string(size) + " was written at byte " +
                                         std::to_string(i) + "; write within the size that its author gave (rule 1)");
        if (size <= offsetof(lb_error, message)) continue;
        const size_t room = size - offsetof(lb_error, message);
        expect(::strnlen(memory.error.message, room) < room,
               "the message in an lb_error of " + std::to_string(size) + " bytes has no zero byte at its end");
    }
}

template <class Table>
void sentences(Context &context)
{
    const KitReader reader(context.folder());
    Instance<Table> instance(context, reader.get());
    lb_error error = abi::sized<lb_error>();
    const int32_t code = fails(instance, nullptr, &error);
    const size_t size = ::strnlen(error.message, sizeof error.message);
    expect(size < sizeof error.message, "the message of an error has no zero byte at its end");
    expect(size > 0,
           Instance<Table>::table_name() + ": returned " + code_name(code) +
               " with an empty message; one sentence that starts with the object says why (\"contoso/19: no such build\")");
    expect(is_utf8({error.message, size}), "the message of an error is not UTF-8: " + quote({error.message, size}));
}

/// A call of contract 1.0 ends behind `cancelled`.
template <class Table>
void short_call(Context &context)
{
    const KitReader reader(context.folder());
    Instance<Table> instance(context, reader.get());
    lb_call call = abi::sized<lb_call>();
    call.struct_size = offsetof(lb_call, progress);
    call.cancel_fd = -1;
    // Where nothing comes a poll waits for as long as it may.
    if constexpr (requires(Table t) { t.poll; })
        call.deadline_ns = std::chrono::nanoseconds((Clock::now() + std::chrono::milliseconds(100)).time_since_epoch()).count();
    call.cancelled = [](const lb_call *) noexcept { return 0; };
    call.progress = [](const lb_call *, uint64_t, uint64_t) noexcept { ::raise(SIGILL); };
    tour(context, instance, &call);
    const Calling calling(Instance<Table>::table_name() + " with an lb_call of contract 1.0 (24 bytes, no `progress`)");
    fails(instance, &call, nullptr);
}

template <class Table>
void text_is_not_terminated(Context &context)
{
    const KitReader reader(context.folder());
    const std::string config = context.config(Instance<Table>::interface());
    const Guarded guarded(config);
    Instance<Table> instance(context, std::string(config), reader.get());
    if (!instance.opened().ok()) fail(instance.opened().what + ": " + described(instance.opened()));
    {
        KitHost host(reader.get());
        void *self = nullptr;
        const Calling calling(Instance<Table>::table_name() + ".open with a configuration that no zero byte ends");
        const int32_t code = instance.table().open(host.get(), guarded.str(), &self, nullptr);
        expect(code == LB_OK, Instance<Table>::table_name() + ".open: returned " + code_name(code) +
                                  " where no zero byte stands behind the configuration");
        instance.table().close(self);
    }
    guarded_tour(context, instance);
}

// ------------------------------------------------------------------------------------------------------------ manners

/// What a process is in common with its guests.
struct Surroundings {
    std::string folder, umask, locale, environment, blocked;
    std::map<int, void (*)(int)> handlers;

    static Surroundings now()
    {
        Surroundings out;
        char path[4096] = "";
        if (::getcwd(path, sizeof path)) out.folder = path;
        for (const char *line : {"Umask:", "SigBlk:"}) {
            const std::string status = linux_::slurp("/proc/self/status").value_or("");
            const size_t at = status.find(line);
            (std::string_view(line) == "Umask:" ? out.umask : out.blocked) =
                at == status.npos ? "" : status.substr(at, status.find('\n', at) - at);
        }
        out.locale = ::setlocale(LC_ALL, nullptr);
        for (char **entry = environ; entry && *entry; ++entry) out.environment += std::string(*entry) + "\n";
        for (int signal = 1; signal <= 64; ++signal) {
            struct sigaction action{};
            if (::sigaction(signal, nullptr, &action) == 0) out.handlers[signal] = action.sa_handler;
        }
        return out;
    }
};

/// From `open` to `close`.
template <class Table>
void whole_life(Context &context)
{
    const KitReader reader(context.folder());
    Instance<Table> instance(context, reader.get());
    tour(context, instance);
}

template <class Table>
void changed(Context &context, const char *what, std::string Surroundings::*member)
{
    (void)context.plugin();
    const Surroundings before = Surroundings::now();
    whole_life<Table>(context);
    const std::string after = Surroundings::now().*member;
    if (before.*member == after) return;
    // Where the two part is what matters of a long text.
    const size_t at = static_cast<size_t>(
        std::mismatch(after.begin(), after.end(), (before.*member).begin(), (before.*member).end()).first - after.begin());
    const size_t from = at < 40 ? 0 : at - 40;
    expect_same(what, quote((before.*member).substr(std::min(from, (before.*member).size()))), quote(after.substr(from)));
    fail(std::string(what) + ": was changed");
}

template <class Table>
void working_directory(Context &context)
{
    changed<Table>(context, "the working directory, which is the host's", &Surroundings::folder);
}
template <class Table>
void umask(Context &context)
{
    changed<Table>(context, "the umask, which is the host's", &Surroundings::umask);
}
template <class Table>
void locale(Context &context)
{
    changed<Table>(context, "the locale, which is the host's", &Surroundings::locale);
}
template <class Table>
void environment(Context &context)
{
    changed<Table>(context, "the environment, which is the host's", &Surroundings::environment);
}

template <class Table>
void signals(Context &context)
{
    (void)context.plugin();
    ::signal(SIGUSR2, SIG_IGN);
    const Surroundings before = Surroundings::now();
    whole_life<Table>(context);
    const Surroundings after = Surroundings::now();
    expect_same("the blocked signals of the calling thread", before.blocked, after.blocked);
    for (const auto &[signal, handler] : before.handlers)
        expect(after.handlers.at(signal) == handler, "the handler of SIG" +
                                                         std::string(::sigabbrev_np(signal) ? ::sigabbrev_np(signal) : "?") +
                                                         " was changed; signals are the host's");
}

template <class Table>
void children(Context &context)
{
    (void)context.plugin();
    const pid_t mine = ::fork();
    if (mine == 0) ::_exit(7);
    siginfo_t info{};
    ::waitid(P_PID, static_cast<id_t>(mine), &info, WEXITED | WNOWAIT);
    whole_life<Table>(context);
    int status = 0;
    expect(::waitpid(mine, &status, WNOHANG) == mine && WIFEXITED(status) && WEXITSTATUS(status) == 7,
           "a child of the host's that had ended was waited for; wait for children that the plugin started, by pid, and for no "
           "other");
    expect(::waitpid(-1, nullptr, WNOHANG) <= 0, "a child that the plugin started has ended, and nobody waited for it");
}

template <class Table>
void silent(Context &context)
{
    (void)context.plugin();
    whole_life<Table>(context);
    expect(context.printed().empty(),
           "it printed " + quote(context.printed()) + "; lines for the operator go through lb_host.log");
}

std::map<int, std::string> open_files()
{
    std::map<int, std::string> out;
    for (const pid_t fd : linux_::numbers_in("/proc/self/fd")) {
        char target[512];
        const ssize_t size = ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), target, sizeof target);
        if (size > 0 && ::fcntl(static_cast<int>(fd), F_GETFD) >= 0) out[fd] = std::string(target, static_cast<size_t>(size));
    }
    return out;
}

template <class Table>
void descriptors(Context &context)
{
    // What only the first life opens is the library's own.
    whole_life<Table>(context);
    const std::map<int, std::string> before = open_files();
    whole_life<Table>(context);
    // A thread that the plugin has left to itself may be about to close what it has.
    std::vector<std::string> more;
    for (const Clock::time_point end = Clock::now() + std::chrono::seconds(15);;) {
        more.clear();
        for (const auto &[fd, target] : open_files())
            if (!before.contains(fd) && more.size() < 5) more.push_back(target);
        if (more.empty()) return;
        if (Clock::now() > end) break;
        ::poll(nullptr, 0, 20);
    }
    fail("more descriptors are open after another life of an instance (" + joined(more) +
         "); close what a call opens, and in `close` what the instance did");
}

template <class Table>
void close_on_exec(Context &context)
{
    const KitReader reader(context.folder());
    const std::map<int, std::string> before = open_files();
    (void)context.plugin();
    Instance<Table> instance(context, reader.get());
    tour(context, instance);
    for (const auto &[fd, target] : open_files())
        expect(before.contains(fd) || (::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0,
               "descriptor " + std::to_string(fd) + " (" + target +
                   ") is not close-on-exec, and every program that the host starts gets it");
}


template <class Table>
void add(std::vector<Check> &into)
{
    // Names live as long as the program.
    static std::deque<std::string> &names = *new std::deque<std::string>;
    const auto check = [&](const char *name, const char *promise, const char *where, void (*run)(Context &)) {
        names.push_back(std::string(Instance<Table>::interface()) + "." + name);
        into.push_back({names.back().c_str(), promise, where, run});
    };
    check("table", "The table says its size and how many calls it takes at once, and has open and close.",
          "plugin.h, rules 1 and 2", table<Table>);
    check("open-bad-config", "A configuration that makes no sense is an error with a sentence, or is not looked at.", "open",
          open_bad_config<Table>);
    check("open-twice", "Instances are independent, and what is closed can be opened again.", "open, close", open_twice<Table>);
    check("null-error", "lb_error may be a null pointer.", "lb_error", null_error<Table>);
    check("short-error", "An lb_error is written within its struct_size, and its message ends with a zero byte.",
          "lb_error, rule 1", short_error<Table>);
    check("sentences", "An error has a sentence.", "lb_error", sentences<Table>);
    check("short-call", "A caller of contract 1.0 has an lb_call of 24 bytes.", "lb_call, rule 1", short_call<Table>);
    check("text-is-not-terminated", "Texts end where their size says, and are gone once the call returns.",
          "plugin.h, TEXT and rule 3", text_is_not_terminated<Table>);
    check("silent", "Nothing is printed.", "plugin.h, MANNERS", silent<Table>);
    check("descriptors", "No descriptor stays open.", "plugin.h, MANNERS", descriptors<Table>);
    check("close-on-exec", "Every descriptor is close-on-exec.", "plugin.h, MANNERS", close_on_exec<Table>);
    check("working-directory", "The working directory stays.", "plugin.h, MANNERS", working_directory<Table>);
    check("umask", "The umask stays.", "plugin.h, MANNERS", umask<Table>);
    check("locale", "The locale stays.", "plugin.h, MANNERS", locale<Table>);
    check("environment", "The environment stays.", "plugin.h, MANNERS", environment<Table>);
    check("signals", "Signal handlers and masks stay.", "plugin.h, MANNERS", signals<Table>);
    check("children", "The host's children are left to the host.", "plugin.h, MANNERS", children<Table>);
}

}  // namespace

std::vector<Check> edge_checks()
{
    std::vector<Check> out;
    add<lb_store>(out);
    add<lb_status_source>(out);
    add<lb_process_controller>(out);
    return out;
}

}  // namespace litbuild::conformance
