// The two places of a build.
#pragma once

namespace litbuild::folder {

enum class Place { live, archive };

}  // namespace litbuild::folder
