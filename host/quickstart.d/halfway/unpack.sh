#!/bin/sh
# The raw files that this build would measure.
set -eu
for file in Unihan_Readings Unihan_Variants Unihan_IRGSources; do
    bzip2 -dc "$UNICODE_DATA/$file.txt.bz2" >"$file.txt"
    echo "unpacked $file.txt"
done
