#!/usr/bin/env bash
# What the engine's shared library shows is what engine/liblitbuild.symbols says: a name that is gone breaks programs that were
# linked before; one that is new is to be meant. And nothing of Boost, or of anything else that a host may have, is to be seen.
set -eu
library=$(dirname "$LITBUILD_BIN_DIR")/lib/liblitbuild.so
list=$LITBUILD_SOURCE_DIR/engine/liblitbuild.symbols
shown=$(mktemp)
trap 'rm -f "$shown"' EXIT

nm -DC --defined-only "$library" | cut -d' ' -f3- | LC_ALL=C sort -u >"$shown"
if ! diff -u "$list" "$shown"; then
    echo "$library: shows other names than $list"
    echo "a name that is gone (-) needs the next minor version; one that is new (+) is added to the list"
    exit 1
fi

if nm -DC "$library" | grep -E 'boost|lb_plugin|litbuild_plugin_'; then
    echo "$library: meets the host's names above"
    exit 1
fi

needed=$(objdump -p "$library" | awk '$1 == "NEEDED" {print $2}' | LC_ALL=C sort | tr '\n' ' ')
case $needed in
*boost* | *nfs* | *ssl*) echo "$library: needs $needed"; exit 1 ;;
esac
[ "$(objdump -p "$library" | awk '$1 == "SONAME" {print $2}')" = liblitbuild.so.0.1 ]

# The list is complete in what the C header promises.
for name in $(grep -oE '\blitbuild_[a-z_]+\(' "$LITBUILD_SOURCE_DIR/engine/include/litbuild/litbuild.h" | tr -d '(' | sort -u); do
    grep -qx "$name" "$list" || { echo "$name: stands in litbuild.h and is not shown"; exit 1; }
done
