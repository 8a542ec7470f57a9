// A store that archives for as long as a file says, tells how far it is, and gives up where it is told to. It has no watch.
// Build 19 of contoso is the folder ROOT/contoso/19; ROOT/contoso/19.archived beside it says that it is archived.
#include <litbuild/export.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

using namespace litbuild;
namespace fs = std::filesystem;

namespace {

class SlowStore final : public BuildStore {
public:
    SlowStore(const Host &, std::string_view config)
    {
        const size_t at = config.find("\"root\":\"") + 8;
        root_ = std::string(config.substr(at, config.find('"', at) - at));
    }
    std::vector<std::string> teams(const Call &) override { return {"contoso"}; }
    void list(const Call &, const Query &query, const EntrySink &each) override
    {
        if (!fs::is_directory(root_ / query.team)) throw Error(Code::not_found, query.team + ": no such team");
        std::vector<int64_t> found;
        for (const fs::directory_entry &entry : fs::directory_iterator(root_ / query.team))
            if (const auto runid = parse_runid(entry.path().filename().string())) found.push_back(*runid);
        std::sort(found.rbegin(), found.rend());
        for (const int64_t runid : found) {
            const Entry entry = at({query.team, runid});
            const bool wanted = query.scope == Scope::all || (query.scope == Scope::archived) == entry.archived;
            if (wanted && !each(entry)) return;
        }
    }
    Entry find(const Call &, const BuildName &build) override
    {
        if (!fs::exists(folder(build))) throw Error(Code::not_found, to_string(build) + ": no such build");
        return at(build);
    }
    /// Done once ROOT/go.RUNID is there. With ROOT/deaf it does not hear that it is cancelled.
    Entry archive(const Call &call, const BuildName &build) override
    {
        const std::string number = std::to_string(build.runid);
        std::ofstream(root_ / ("begun." + number)).flush();
        for (uint64_t done = 0; !fs::exists(root_ / ("go." + number)); done = std::min(done + 1'000'000, size)) {
            if (!fs::exists(root_ / "deaf")) call.check(to_string(build));
            call.tell(done, size);
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
        std::ofstream(marker(build)).flush();
        return at(build);
    }
    Entry restore(const Call &, const BuildName &build) override
    {
        fs::remove(marker(build));
        return at(build);
    }
    void read(const Call &, const BuildName &build, std::string_view name, uint64_t, uint64_t, const TextSink &sink) override
    {
        std::ifstream in(folder(build) / name, std::ios::binary);
        if (!in) throw Error(Code::not_found, to_string(build) + ": no such file");
        sink(std::string(std::istreambuf_iterator<char>(in), {}));
    }

private:
    static constexpr uint64_t size = 2'000'000'000;

    fs::path folder(const BuildName &build) const { return root_ / build.team / std::to_string(build.runid); }
    fs::path marker(const BuildName &build) const { return folder(build).string() + ".archived"; }
    Entry at(const BuildName &build) const { return {build.runid, fs::exists(marker(build)), folder(build).string()}; }

    fs::path root_;
};

}  // namespace

LITBUILD_PLUGIN("slow-store", "1.0.0", litbuild::StoreOf<SlowStore, LB_PARALLEL>)
