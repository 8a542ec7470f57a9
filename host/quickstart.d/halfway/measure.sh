#!/bin/sh
# Slow on purpose, with the kinds of subprocesses that a stop tends to forget: one in the background, one in a session of
# its own, one whose parent is gone and that ignores TERM.
set -eu
worker=$(dirname "$0")/worker.sh
"$worker" "$LITBUILD_PATH/Unihan_Readings.txt" measured-1 &
setsid "$worker" "$LITBUILD_PATH/Unihan_Variants.txt" measured-2 &
(trap '' TERM; setsid "$worker" "$LITBUILD_PATH/Unihan_IRGSources.txt" measured-3 &)
echo "three workers measure"
for part in 1 2 3 4 5; do
    sleep 0.2
    echo "progress $part/10 measuring" >>"$LITBUILD_REPORT"
done
wait
