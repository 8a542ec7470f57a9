// A store whose functions throw what a function can throw; the name of the file that is read says which.
#include <litbuild/export.hpp>

#include <new>

namespace {

using namespace litbuild;

class ThrowingStore final : public BuildStore {
public:
    ThrowingStore(const Host &, std::string_view config)
    {
        if (config.find("\"ctor\":\"error\"") != config.npos)
            throw Error(Code::invalid, "throwing-store: 'ctor' makes no sense");
        if (config.find("\"ctor\":\"int\"") != config.npos) throw 7;
    }

    std::vector<std::string> teams(const Call &) override { return {"contoso"}; }
    void list(const Call &, const Query &, const EntrySink &each) override
    {
        // More than one page of entries, and then a failure behind what was given already.
        for (int64_t runid = 300; runid > 0; --runid)
            if (!each({runid, false, "/nowhere"})) return;
        throw Error(Code::corrupt, "contoso: the end of the list is damaged");
    }
    Entry find(const Call &, const BuildName &build) override { return {build.runid, false, "/nowhere"}; }
    void read(const Call &, const BuildName &build, std::string_view name, uint64_t, uint64_t,
              const TextSink &sink) override
    {
        if (name == "runtime_error") throw std::runtime_error("a plain runtime_error");
        if (name == "bad_alloc") throw std::bad_alloc();
        if (name == "int") throw 42;
        if (name == "long") throw Error(Code::corrupt, std::string(503, 'a') + "\xc3\xa9" + std::string(2000, 'b'));
        if (name == "errno") throw os_error(to_string(build), "write it", ENOSPC);
        for (int code = LB_NOT_FOUND; code <= LB_REFUSED; ++code)
            if (name == litbuild::name(static_cast<Code>(code)))
                throw Error(static_cast<Code>(code), to_string(build) + ": " + std::string(name));
        for (int i = 0; i < 1000 && sink(name); ++i) continue;
    }
};

}  // namespace

LITBUILD_PLUGIN("throwing-store", "1.0.0", litbuild::StoreOf<ThrowingStore>)
