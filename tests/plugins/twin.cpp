// Two strangers who copied the same page: one class name, two plugins, compiled with no flag of the SDK's.
#include <litbuild/export.hpp>

class MyStore : public litbuild::BuildStore {
public:
    MyStore(const litbuild::Host &, std::string_view) {}
    std::vector<std::string> teams(const litbuild::Call &) override { return {TWIN}; }
    void list(const litbuild::Call &, const litbuild::Query &, const litbuild::EntrySink &) override {}
    litbuild::Entry find(const litbuild::Call &, const litbuild::BuildName &build) override
    {
        return {build.runid, false, "/" TWIN};
    }
    void read(const litbuild::Call &, const litbuild::BuildName &, std::string_view, uint64_t, uint64_t,
              const litbuild::TextSink &sink) override
    {
        sink(TWIN);
    }
};

LITBUILD_PLUGIN(TWIN, "1.0.0", litbuild::StoreOf<MyStore>)
