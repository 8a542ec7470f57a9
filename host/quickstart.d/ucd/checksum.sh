#!/bin/sh
# Raw files -> MANIFEST.sha256: what this build is made of. Refuses files that differ from what Debian's package holds.
. "$(dirname "$0")/common.sh"

for file in $inputs; do
    [ -r "$raw/$file" ] || fail "$raw/$file: is missing or unreadable; is the package unicode-data installed?"
done
tell progress 1/3 hashing
(cd "$raw" && sha256sum $inputs) >MANIFEST.sha256.new
mv MANIFEST.sha256.new MANIFEST.sha256
cut -c1-16,65- MANIFEST.sha256

tell progress 2/3 "comparing with the package"
packaged=/var/lib/dpkg/info/unicode-data.md5sums
if [ "$raw" = /usr/share/unicode ] && [ -r $packaged ]; then
    for file in $inputs; do
        grep -F "  usr/share/unicode/$file" $packaged || fail "$file is no file of the package unicode-data"
    done >PACKAGED.md5
    (cd / && md5sum --check --strict --quiet "$OLDPWD/PACKAGED.md5") || fail "a raw file differs from Debian's package"
    rm PACKAGED.md5
    echo "as Debian packaged them: yes"
else
    echo "as Debian packaged them: not checked, $raw is not the package's folder"
fi
tell progress 3/3 "$(wc -l <MANIFEST.sha256) files"
