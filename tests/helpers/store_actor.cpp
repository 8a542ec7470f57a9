// store_actor ROOT OPERATION TASK FD: changes a root once as tests/store/act.hpp says, under a tracer that counts its calls, and
// reports over the shared memory of FD. TASK 0: and once more when it is let go on. 1: as the second one. 2: a repair.
#include <sys/mman.h>

#include <cstdlib>

#include "store/act.hpp"
#include "store/trace.hpp"

using namespace support;

int main(int argc, char **argv)
{
    const Operation *const operation = argc == 5 ? operation_of(argv[2]) : nullptr;
    if (!operation) return 2;
    const int fd = std::atoi(argv[4]);
    void *const memory = ::mmap(nullptr, 2 * sizeof(Report), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) return 2;
    ::close(fd);
    auto *const reports = static_cast<Report *>(memory);
    const int task = std::atoi(argv[3]);
    const Stored store = open_store(argv[1]);
    watch_begins();
    if (task == 2) {
        for (const std::string &team : store->teams(Call()))
            store->examine(Call(), team, Repair::yes, [](const Finding &) { return true; });
    } else {
        act(*operation, *store, reports[task], task);
    }
    watch_ends();
    if (task == 0) act(*operation, *store, reports[1], 1);
    // What looks for leaks at the end of a process is a tracer itself.
    ::_exit(0);
}
