// What programs that link liblitbuild.so.0.1 have compiled in of the engine's C++ types: compiling this file is the test.
// A change here, or one that takes a line from engine/liblitbuild.symbols, needs the next minor version, and with it the
// next name of the library; see CMakeLists.txt.
#include <litbuild/engine.hpp>

namespace litbuild {

#define SIZE(type, bytes) static_assert(sizeof(type) == (bytes), #type " has changed its size")

static_assert(std::string_view(LITBUILD_VERSION).starts_with("0.1."), "these are the numbers of 0.1");
SIZE(Config, 392);
SIZE(PluginChoice, 64);
SIZE(Filter, 80);
SIZE(Listed, 48);
SIZE(StopOptions, 112);
SIZE(StopResult, 120);
SIZE(Summary, 400);
SIZE(Selection, 112);
SIZE(Selection::Runs, 16);
SIZE(BulkResult, 264);
SIZE(Retention, 56);
SIZE(TeamFinding, 144);
SIZE(BuildChange, 352);
SIZE(Build, 56);
SIZE(Engine, 16);
SIZE(PluginInfo, 192);
SIZE(Call, 40);
SIZE(Canceller, 8);
SIZE(Error, 24);
SIZE(Status, 288);
SIZE(Step, 88);
SIZE(Event, 88);
SIZE(BuildName, 40);
SIZE(StopReport, 80);
SIZE(StopStep, 16);
SIZE(ProcessInfo, 112);
SIZE(Finding, 112);

}  // namespace litbuild
