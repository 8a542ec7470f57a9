// The store's tests, as plugin nfs has it by a mount, over the real NFS client of a kernel: in a guest of User Mode Linux,
// which serves itself an ext4 by nfs-ganesha and mounts it as NFS 3 and as NFS 4.2.
#define BOOST_TEST_MODULE kernel_nfs
#include <boost/test/unit_test.hpp>

#include <cstdio>

#include "support.hpp"
#include <uml/guest.hpp>

using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

fs::path make_disk(const fs::path &folder, const char *size)
{
    const fs::path disk = folder / "disk";
    const std::string command = "mkfs.ext4 -q -O ^has_journal " + disk.string() + " " + size;
    if (std::system(command.c_str()) != 0) throw std::runtime_error("mkfs.ext4");
    return disk;
}

const char *const mounts = R"(
. $UML/client.sh; . $UML/server.sh
serve /dev/ubda && mount_nfs 3 127.0.0.1 /run/srv /run/v3 && mount_nfs 4.2 127.0.0.1 /export /run/v4 && chmod 1777 /run/v3
)";

// What is run in the short form; the long one runs all. A guest makes some hundred requests a second.
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

}  // namespace

BOOST_AUTO_TEST_CASE(the_stores_tests_pass_on_a_mount)
{
    if (const std::string why = uml::missing(); !why.empty()) {
        std::printf("SKIPPED: kernel_nfs: %s\n", why.c_str());
        return;
    }
    const support::TempRoot root;
    const fs::path disk = make_disk(root.path(), "64M");
    uml::Guest guest(root.path() / "box", "alpha", uml::environment() + mounts, {"ubd0=" + disk.string()});
    guest.boot();
    const fs::path tests = fs::read_symlink("/proc/self/exe").parent_path();
    const bool is_long = ::getenv("LITBUILD_TEST_LONG") && *::getenv("LITBUILD_TEST_LONG");
    for (const Part &part : parts)
        for (const char *mount : {"v3", "v4"}) {
            const auto began = litbuild::Clock::now();
            const std::string chosen = is_long ? "" : mount == std::string("v3") ? part.on_v3 : part.on_v4;
            if (!is_long && chosen.empty()) continue;
            const uml::Result result =
                guest.run(uml::environment() + "LITBUILD_TEST_MOUNTED=1 LITBUILD_TEST_BASE=/run/" + mount + " exec " +
                              uml::quoted((tests / part.program).string()) + " --color_output=no " + chosen,
                          is_long ? std::chrono::seconds(1800) : std::chrono::seconds(300));
            std::printf("%s on %s: %.1f s\n", part.program, mount,
                        std::chrono::duration<double>(litbuild::Clock::now() - began).count());
            BOOST_TEST(result.status == 0,
                       part.program << " on " << mount << ": status " << result.status << "\n" << result.output);
        }
}
