#include "calls.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include <litbuild/version.hpp>

namespace litbuild::conformance {

std::string code_name(int32_t code)
{
    static constexpr const char *names[] = {"LB_OK",          "LB_NOT_FOUND",   "LB_EXISTS",    "LB_DENIED", "LB_INVALID",
                                            "LB_UNSUPPORTED", "LB_UNAVAILABLE", "LB_NO_SPACE",  "LB_CORRUPT",
                                            "LB_CANCELLED",   "LB_TIMEOUT",     "LB_INTERNAL",  "LB_REFUSED"};
    return code >= LB_OK && code <= LB_REFUSED ? names[code] : std::to_string(code);
}

std::string described(const Answer &answer)
{
    return code_name(answer.code) + (answer.sentence.empty() ? "" : " (" + answer.sentence + ")");
}

void skip_unsupported(const Answer &answer)
{
    if (answer.code == LB_UNSUPPORTED) skip(answer.sentence.empty() ? answer.what + " is not supported" : answer.sentence);
}

void expect_ok(const Answer &answer) { expect_code(answer, {LB_OK}); }

void expect_code(const Answer &answer, std::initializer_list<int32_t> codes)
{
    if (std::find(codes.begin(), codes.end(), answer.code) != codes.end()) return;
    skip_unsupported(answer);
    std::string wanted;
    for (const int32_t code : codes) wanted += (wanted.empty() ? "" : " or ") + code_name(code);
    expect_same(answer.what, wanted, described(answer));
}

Guarded::Guarded(std::string_view text) : size_(text.size())
{
    const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
    const size_t pages = (size_ + page - 1) / page + 1;
    mapped_ = (pages + 1) * page;
    void *const made = ::mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (made == MAP_FAILED) fail("the kit itself: no memory");
    map_ = static_cast<char *>(made);
    data_ = map_ + pages * page - size_;
    if (size_ > 0) std::memcpy(data_, text.data(), size_);
    ::mprotect(map_ + pages * page, page, PROT_NONE);
}

// Unmapped with the call: whoever keeps a pointer to what was lent to him crashes with it.
Guarded::~Guarded() { ::munmap(map_, mapped_); }

KitHost::KitHost(const lb_reader *reader) : reader_(reader)
{
    raw_ = abi::sized<lb_host>();
    raw_.abi = LITBUILD_ABI;
    raw_.name = abi::str("litbuild-plugin");
    raw_.version = abi::str(LITBUILD_VERSION);
    raw_.ctx = this;
    raw_.log = [](void *, int32_t, lb_str) noexcept {};
    raw_.now_ns = [](void *) noexcept -> int64_t {
        return std::chrono::nanoseconds(Clock::now().time_since_epoch()).count();
    };
    raw_.service = [](void *ctx, lb_str id) noexcept -> const void * {
        return abi::view(id) == LB_READER_ID ? static_cast<KitHost *>(ctx)->reader_ : nullptr;
    };
}

}  // namespace litbuild::conformance
