// What the fuzzers have found worth keeping, once more through every parser; and each cut off at every byte, as a torn write
// leaves it. No libFuzzer is needed.
#define BOOST_TEST_MODULE fuzz_corpus
#include <fstream>
#include <iterator>

#include <boost/test/unit_test.hpp>

#include "folder.hpp"

BOOST_AUTO_TEST_CASE(every_input_goes_through)
{
    const char *source = ::getenv("LITBUILD_SOURCE_DIR");
    BOOST_REQUIRE_MESSAGE(source, "LITBUILD_SOURCE_DIR is not set");
    for (const auto &[name, target] : fuzz::targets()) {
        size_t files = 0, inputs = 0;
        const auto once = [&, run = target](std::string_view input, const fuzz::fs::path &file) {
            ++inputs;
            try {
                run(input);
            } catch (const std::exception &e) {
                BOOST_ERROR(file.string() + " (" + std::to_string(input.size()) + " bytes of it): " + e.what());
            }
        };
        for (const auto &entry : fuzz::fs::directory_iterator(fuzz::fs::path(source) / "tests/fuzz/corpus" / name)) {
            std::ifstream in(entry.path(), std::ios::binary);
            const std::string text((std::istreambuf_iterator<char>(in)), {});
            ++files;
            once(text, entry.path());
            for (size_t size = 0; size < std::min<size_t>(text.size(), 200); ++size) once(std::string_view(text).substr(0, size), entry.path());
        }
        std::printf("%-14s %4zu files, %6zu inputs\n", name.c_str(), files, inputs);
        BOOST_TEST(files > 0u, name);
    }
}
