// The store's tests, as plugin nfs has it by a mount, over the real NFS client of a kernel: in a guest of User Mode Linux,
// which serves itself an ext4 by nfs-ganesha and mounts it as NFS 3 and as NFS 4.2; and what such a server refuses.
#define BOOST_TEST_MODULE kernel_nfs
#include <boost/test/unit_test.hpp>

#include <cstdio>
#include <future>

#include "support.hpp"
#include <uml/guest.hpp>

using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

const bool is_long = ::getenv("LITBUILD_TEST_LONG") && *::getenv("LITBUILD_TEST_LONG");

fs::path make_disk(const fs::path &folder, const char *size)
{
    const fs::path disk = folder / "disk";
    const std::string command = "mkfs.ext4 -q -O ^has_journal,quota " + disk.string() + " " + size;
    if (std::system(command.c_str()) != 0) throw std::runtime_error("mkfs.ext4");
    return disk;
}

const char *const mount = R"(
. $UML/client.sh; . $UML/server.sh
serve /dev/ubda && mount_nfs $NFS 127.0.0.1 $EXPORT /run/mount && chmod 1777 /run/mount && stat -f -c %T /run/mount | grep -qx nfs
)";

// What is run in the short form; the long one runs all; LITBUILD_TEST_PART names one program. A guest makes some hundred
// requests a second.
struct Part {
    const char *program;
    std::string on_v3, on_v4;
};
const std::string brief = "'--run_test=!*_by_walk' ";
const std::string some = "'--run_test=a_new_build_*,archive_and_*,tags_are_*,a_root_that_*,files_are_*,a_lost_reply_*'";
const Part parts[] = {
    {"folder_store_test", some, some},
    {"folder_move_test", "", "--run_test=all_that_a_folder_holds_travels_there_and_back"},
    {"folder_remove_test", brief + "'--run_test=!a_tree_deeper_*' '--run_test=!a_broken_off_*'", ""},
    {"folder_examine_test", "", ""},
    {"folder_hostile_test", "", ""},
    {"run_status_test", "", ""},
    {"folder_watch_test", "", ""},
};

bool can_boot(const char *test)
{
    const std::string why = uml::missing();
    if (!why.empty()) std::printf("SKIPPED: %s: %s\n", test, why.c_str());
    return why.empty();
}

// A guest with the exports of server.sh mounted as /run/{export,frozen,squashed}{3,4}; in what they share lies a team with
// one build, and a folder of uid 1234, who may have 64 KiB.
const char *const exports = R"(
. $UML/client.sh; . $UML/server.sh
serve /dev/ubda && mount_nfs 3 127.0.0.1 /run/srv /run/export3 && mount_nfs 4.2 127.0.0.1 /export /run/export4 || exit 1
for each in frozen squashed; do
    mount_nfs 3 127.0.0.1 $each /run/${each}3 && mount_nfs 4.2 127.0.0.1 /$each /run/${each}4 || exit 1
done
mkdir /run/srv/data /run/srv/theirs && chown 1234 /run/srv/theirs && setquota -u 1234 0 64 0 0 /run/srv
)";

class Operator {
public:
    Operator(uml::Guest &guest, const std::string &root, const std::string &who) : guest_(guest), who_(who)
    {
        BOOST_REQUIRE(guest_.run("printf '{\"root\": \"" + root + "\", \"deadline\": \"60s\", \"store\": {\"plugin\": \"nfs\"}, "
                                 "\"plugin_folders\": [\"%s\"]}' " + uml::quoted(::getenv("LITBUILD_PLUGIN_DIR")) +
                                 " >/run/config.json").status == 0);
    }
    uml::Result litbuild(const std::string &arguments)
    {
        return guest_.run(uml::environment() + "LITBUILD_CONFIG=/run/config.json exec " + who_ + " $LITBUILD_BIN_DIR/litbuild " + arguments);
    }
    void does(const std::string &arguments, const std::string &telling = "")
    {
        const uml::Result result = litbuild(arguments);
        BOOST_TEST(result.status == 0, arguments << ": " << result.output);
        BOOST_TEST(result.output.find(telling) != std::string::npos, arguments << ": " << result.output);
    }
    void is_refused(const std::string &arguments, const std::string &why)
    {
        const uml::Result result = litbuild(arguments);
        BOOST_TEST(result.status != 0, arguments);
        BOOST_TEST(result.output.starts_with("litbuild: /run/"), arguments << ": " << result.output);
        BOOST_TEST(result.output.ends_with(": " + why + "\n"), arguments << ": " << result.output);
        BOOST_TEST(std::count(result.output.begin(), result.output.end(), '\n') == 1, result.output);
    }

private:
    uml::Guest &guest_;
    std::string who_;
};

struct Refusal {
    const char *mount, *folder, *why, *who, *fill, *empty;
};
const Refusal refusals[] = {
    {"frozen", "data", "Read-only file system", "", "true", ""},
    {"squashed", "data", "Permission denied", "", "true", ""},
    {"export", "data", "No space left on device", "", "dd if=/dev/zero of=/run/srv/filler bs=512 2>/dev/null; true", "rm /run/srv/filler"},
    {"export", "theirs", "Disk quota exceeded", "setpriv --reuid=1234 --regid=1234 --clear-groups",
     "setpriv --reuid=1234 --regid=1234 --clear-groups dd if=/dev/zero of=/run/srv/theirs/filler bs=512 2>/dev/null; true",
     "rm /run/srv/theirs/filler"},
};

}  // namespace

BOOST_AUTO_TEST_CASE(what_a_server_refuses_is_told_and_loses_nothing)
{
    if (!can_boot("what_a_server_refuses_is_told_and_loses_nothing")) return;
    const support::TempRoot root;
    uml::Guest guest(root.path() / "box", "alpha", uml::environment() + exports, {"ubd0=" + make_disk(root.path(), "16M").string()});
    guest.boot();
    Operator(guest, "/run/export4/data", "").does("launch contoso --tag gold -- true");
    for (const char *version : {"3", "4"})
        for (const Refusal &each : refusals) {
            BOOST_TEST_CONTEXT(each.why << ", NFS " << version) {
                Operator one(guest, "/run/" + (each.mount + std::string(version)) + "/" + each.folder, each.who);
                if (*each.who && *version == '3') one.does("launch contoso --tag gold -- true");
                // A runner that has said its last word still gives back a block: its beat.
                BOOST_TEST(guest.run("while grep -qsx litbuild-runner /proc/[0-9]*/comm; do sleep 0.1; done").status == 0);
                BOOST_TEST(guest.run(each.fill).status == 0);
                one.is_refused("launch contoso -- true", each.why);
                one.is_refused("tags contoso 1 --add silver", each.why);
                one.does("list contoso", "gold\n");
                one.does("doctor contoso", "nothing found");
                if (!*each.empty) continue;
                BOOST_TEST(guest.run(each.empty).status == 0);
                one.does("tags contoso 1 --add after-" + std::string(version), "gold\n");
                one.does("tags contoso 1 --remove after-" + std::string(version));
                one.does("archive contoso 1");
                one.does("restore contoso 1");
            }
        }
}

namespace {

struct Passed {
    const char *program;
    double seconds = 0;
    uml::Result result{};
};

// Each program in a guest with a server of its own: with age a guest gets slower, up to eight times.
std::vector<Passed> run_parts(const fs::path &folder, const std::string &setup, std::string Part::*some_cases)
{
    const fs::path tests = fs::read_symlink("/proc/self/exe").parent_path();
    std::vector<Passed> out;
    for (const Part &part : parts) {
        const std::string chosen = is_long ? "" : part.*some_cases;
        if (!is_long && chosen.empty()) continue;
        if (const char *only = ::getenv("LITBUILD_TEST_PART"); only && *only && part.program != std::string(only)) continue;
        const fs::path own = folder / part.program;
        fs::create_directories(own);
        const fs::path disk = make_disk(own, "256M");
        uml::Guest guest(own / "box", "alpha", uml::environment() + setup + mount, {"ubd0=" + disk.string()});
        guest.boot();
        const auto began = litbuild::Clock::now();
        Passed passed{part.program};
        passed.result = guest.run(uml::environment() + "LITBUILD_TEST_MOUNTED=1 LITBUILD_TEST_BASE=/run/mount exec " +
                                      uml::quoted((tests / part.program).string()) + " --color_output=no " + chosen,
                                  is_long ? std::chrono::seconds(3600) : std::chrono::seconds(600));
        passed.seconds = std::chrono::duration<double>(litbuild::Clock::now() - began).count();
        out.push_back(std::move(passed));
    }
    return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_stores_tests_pass_on_a_mount)
{
    if (!can_boot("the_stores_tests_pass_on_a_mount")) return;
    const support::TempRoot root;
    auto on_v4 = std::async(std::launch::async, [&] { return run_parts(root.path() / "v4", "NFS=4.2 EXPORT=/export\n", &Part::on_v4); });
    const std::vector<Passed> on_v3 = run_parts(root.path() / "v3", "NFS=3 EXPORT=/run/srv\n", &Part::on_v3);
    const auto tell = [](const char *version, const std::vector<Passed> &all) {
        BOOST_TEST(!all.empty());
        for (const Passed &one : all) {
            std::printf("%s over NFS %s: %.1f s\n", one.program, version, one.seconds);
            BOOST_TEST(one.result.status == 0,
                       one.program << " over NFS " << version << ": status " << one.result.status << "\n" << one.result.output);
        }
    };
    tell("3", on_v3);
    tell("4.2", on_v4.get());
}
