#pragma once

namespace litbuild::nfs {

/// The server said no, or the kernel for it. `number`: an errno.
struct Refusal {
    int number = 0;
};

}  // namespace litbuild::nfs
