#!/usr/bin/env bash
# The README's own lines: the C++ is compiled by the build from the README and run here, the shell is run as it stands.
set -eu
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
"$LITBUILD_HELPER_DIR/readme_example" "$root" | tee "$root/out"
grep -q '/contoso/logs/1" is complete$' "$root/out"
grep -q '^Build id 1 has already finished$' "$root/out"
grep -q '/contoso/logs/archive/1"$' "$root/out"

awk '/^```sh$/ {on = 1; next} /^```$/ {on = 0} on' "$LITBUILD_SOURCE_DIR/README.md" >"$root/lines.sh"
test -s "$root/lines.sh"
PATH="$LITBUILD_BIN_DIR:$PATH" LITBUILD_ROOT=$root/data bash -eu "$root/lines.sh" | tee "$root/out"
grep -q 'Build id 2 has been stopped' "$root/out"
grep -q '"archived":true' "$root/out"
