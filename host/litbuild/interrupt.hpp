// Ctrl-C and termination, for commands that must not be cut off anywhere: they end between two pieces of their work.
#pragma once

#include <litbuild/call.hpp>

namespace litbuild::cli {

/// From here on SIGINT and SIGTERM cancel the call that this returns, once; the second one ends the program on the spot.
/// A signal that is ignored stays ignored.
Call interruptible_call();
/// Where a signal came meanwhile: ends the program by it, which is what the shell that waits for us looks for.
void obey_interrupt();

}  // namespace litbuild::cli
