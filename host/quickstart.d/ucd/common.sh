# What the steps share. They run in the build's folder; UNICODE_DATA is the folder of the raw files.
set -eu
export LC_ALL=C

raw=${UNICODE_DATA:?is not set: the folder of the raw Unicode files}
database=ucd.sqlite.unverified   # becomes the asset, ucd.sqlite, when it is verified
inputs='UnicodeData.txt Jamo.txt Blocks.txt Scripts.txt DerivedAge.txt NameAliases.txt emoji/emoji-data.txt
    emoji/emoji-test.txt Unihan_Readings.txt.bz2 extracted/DerivedName.txt'
report=${LITBUILD_REPORT:-/dev/null}

fail() { echo "$(basename "$0" .sh): $*" >&2; exit 1; }

# tell progress 2/5 MESSAGE | tell step NAME: one line, one write, so that lines never mix.
tell() { printf '%s\n' "$*" >>"$report"; }

sql() { sqlite3 -batch -bail -noheader -init /dev/null "$database" "$@"; }

# The raw files must still be what the first step saw.
check_inputs() {
    manifest=$PWD/MANIFEST.sha256
    (cd "$raw" && sha256sum --check --strict --quiet "$manifest") ||
        fail "the raw files in $raw are not, or no longer, what MANIFEST.sha256 says"
}
