// A configuration file.
#include <litbuild/engine.hpp>

#include "../target.hpp"

using namespace litbuild;

FUZZ_TARGET(config)
{
    try {
        const Config config = Config::from_json(input, "litbuild.json");
        fuzz::must(!config.root.empty(), "there is a root");
        fuzz::must(!config.stop.empty() && config.stop.back().signal == 9, "a plan ends with a kill");
        std::chrono::nanoseconds whole(0);
        for (const StopStep &step : config.stop) whole += step.grace;
    } catch (const Error &e) {
        fuzz::must(e.code() == Code::invalid, std::string("what is no configuration is invalid: ") + e.what());
        fuzz::must(std::string_view(e.what()).starts_with("litbuild.json"), std::string("the sentence starts with the object: ") + e.what());
    }
}
