// The store's tests over the real NFS client of a kernel: in a guest of User Mode Linux, which serves itself an ext4 by
// nfs-ganesha and mounts it as NFS 3 and as NFS 4.2.
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
    for (const char *mount : {"v3", "v4"})
        for (const char *test : {"folder_store_test", "folder_move_test", "folder_remove_test", "folder_examine_test",
                                 "folder_hostile_test", "folder_watch_test", "run_status_test"}) {
            const auto began = litbuild::Clock::now();
            const uml::Result result = guest.run(uml::environment() + "LITBUILD_TEST_BASE=/run/" + mount + " exec " +
                                                     uml::quoted((tests / test).string()) + " --color_output=no",
                                                 120s);
            std::printf("%s on %s: %.1f s\n", test, mount,
                        std::chrono::duration<double>(litbuild::Clock::now() - began).count());
            BOOST_TEST(result.status == 0, test << " on " << mount << ": status " << result.status << "\n" << result.output);
        }
}
