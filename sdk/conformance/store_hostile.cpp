#include "checks.hpp"
namespace litbuild::conformance {
std::span<const Check> store_hostile_checks() { return {}; }
}
