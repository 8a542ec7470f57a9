#include "checks.hpp"
namespace litbuild::conformance {
std::span<const Check> process_checks() { return {}; }
}
