// A target takes what somebody else may have written and puts it through one parser. It throws Wrong where what comes out
// breaks a promise; crashes are the sanitizers' to find. The same source is a libFuzzer program, where LITBUILD_FUZZ is
// defined, and a part of the test that replays the corpus.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>

namespace fuzz {

using Target = void (*)(std::string_view input);

struct Wrong : std::logic_error {
    using std::logic_error::logic_error;
};

inline void must(bool good, const std::string &promise)
{
    if (!good) throw Wrong(promise);
}

/// Takes a piece off the front, up to a byte that no text has; the last piece is what is left.
inline std::string_view next_piece(std::string_view &rest)
{
    const size_t end = rest.find('\xff');
    const std::string_view piece = rest.substr(0, end);
    rest.remove_prefix(end == rest.npos ? rest.size() : end + 1);
    return piece;
}

inline std::map<std::string, Target> &targets()
{
    static std::map<std::string, Target> all;
    return all;
}

}  // namespace fuzz

#ifdef LITBUILD_FUZZ
#define FUZZ_TARGET(name)                                                                                              \
    static void name##_target(std::string_view input);                                                                \
    extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);                                          \
    extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)                                           \
    {                                                                                                                  \
        name##_target({reinterpret_cast<const char *>(data), size});                                                  \
        return 0;                                                                                                      \
    }                                                                                                                  \
    static void name##_target(std::string_view input)
#else
#define FUZZ_TARGET(name)                                                                                              \
    static void name##_target(std::string_view input);                                                                \
    namespace {                                                                                                        \
    const bool name##_is_known = (fuzz::targets()[#name] = name##_target, true);                                       \
    }                                                                                                                  \
    static void name##_target(std::string_view input)
#endif
