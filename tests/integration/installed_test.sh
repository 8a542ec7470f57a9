#!/usr/bin/env bash
# The Debian packages, unpacked into a prefix of their own; all that follows sees nothing else of litbuild. A stranger builds
# and runs the template, the examples in C and C++, and the Python examples by the README's own lines.
set -eu
build=$(cd "$LITBUILD_BIN_DIR/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

(cd "$build" && cpack -G DEB -B "$work/debs" -D CPACK_DEBIAN_COMPRESSION_TYPE=gzip) >"$work/log" 2>&1 ||
    { cat "$work/log"; exit 1; }
for package in liblitbuild0.1 litbuild litbuild-plugins liblitbuild-dev python3-litbuild; do
    deb=$(echo "$work"/debs/"${package}"_[0-9]*.deb)
    [ -f "$deb" ] || { echo "$package: no such package was made"; exit 1; }
    dpkg -x "$deb" "$work/root"
    dpkg -I "$deb" >"$work/info"
    grep -q '^ Depends: ' "$work/info" || { echo "$package: depends on nothing"; cat "$work/info"; exit 1; }
done

# Nothing of where it was built is in what is installed.
if grep -rlF "$LITBUILD_SOURCE_DIR" "$work/root" || grep -rlF "$build" "$work/root"; then
    echo "the files above name the folder that they were built from"
    exit 1
fi

# As a user of that prefix sees it.
unset LITBUILD_SOURCE_DIR LITBUILD_BIN_DIR LITBUILD_HELPER_DIR LITBUILD_PLUGIN_DIR LITBUILD_RUNNER
readme=$(dirname "$0")/../../README.md
awk '/^```bash$/ {on = 1; next} /^```$/ {on = 0} on' "$readme" >"$work/lines.sh"
test -s "$work/lines.sh"
libraries=$(dirname "$(find "$work/root/usr" -name liblitbuild.so)")
mkdir "$work/clean"
cd "$work/clean"
export PATH="$work/root/usr/bin:/usr/bin:/bin" LD_LIBRARY_PATH=$libraries PKG_CONFIG_PATH=$libraries/pkgconfig
export CMAKE_PREFIX_PATH=$work/root/usr PYTHONPATH=$work/root/usr/lib/python3/dist-packages CMAKE_BUILD_PARALLEL_LEVEL=2
bash -eu "$work/lines.sh" >"$work/out" 2>&1 || { cat "$work/out"; echo "the README's lines for the packages failed"; exit 1; }
for line in '/contoso/logs/1 is complete' 'Build id 2 has been stopped' 'acme/7 is complete: all 12 parts' \
            'my-store-conformance' '100% tests passed' 'host: 4 is complete' 'host: Build id 5 has been stopped' \
            "PosixPath('"; do
    grep -qF "$line" "$work/out" || { cat "$work/out"; echo "the output has no '$line'"; exit 1; }
done

# A host with another Boost, which the loader has found first, and a plugin from a library.
root=$work/clean/data
examples=$(pkg-config --variable=examplesdir litbuild)
[ -x examples/other_boost ] || { echo "SKIPPED: installed_test: libboost-filesystem1.74.0 is not there"; exit 77; }
ldd examples/other_boost | grep -q 'libboost_filesystem.so.1.74.0 => /'
examples/other_boost "$root" | grep 'has build 1, which is complete'
mkdir "$root/plugged"
examples/other_boost "$root/plugged" "$PWD/template/plugins" | grep 'has build 1, which is complete'

# The C API's header compiles alone, in C and in C++.
for compiler in "gcc -std=c99" "gcc -std=c17" "g++ -std=c++11" "g++ -std=c++20" "clang-14 -std=c99" "clang++-14 -std=c++20"; do
    [[ $compiler == *++* ]] && language=c++ || language=c
    $compiler -Wall -Wextra -Wpedantic -Wconversion -Werror -fsyntax-only -x $language $(pkg-config --cflags litbuild) \
        - <<<'#include <litbuild/litbuild.h>'
done
g++ -std=c++20 -Wall -Wextra -Wpedantic -Werror -fsyntax-only -x c++ $(pkg-config --cflags litbuild) - \
    <<<'#include <litbuild/engine.hpp>'
