#!/bin/sh
# Raw files -> tables. Each table is one part of this step.
. "$(dirname "$0")/common.sh"
here=$(cd "$(dirname "$0")" && pwd)

check_inputs
rm -rf "$database" tables
mkdir tables
sql <"$here/tables.sql"

done=0
table() {   # table NAME: tables/NAME.tsv becomes rows of NAME
    # Mode ascii: no quoting, what stands between tabs is the value. The shell only warns of lines that do not fit.
    sql '.mode ascii' '.separator "\t" "\n"' ".import tables/$1.tsv $1" 2>warnings || { cat warnings >&2; fail "$1: cannot be loaded"; }
    [ ! -s warnings ] || { head -n 3 warnings >&2; fail "$1: has lines that do not fit its table"; }
    rm warnings
    done=$((done + 1))
    rows=$(sql "SELECT count(*) FROM $1")
    printf '%9d rows  %s\n' "$rows" "$1"
    tell progress "$done/10" "$1: $rows rows"
}

tell step characters
awk -v out=tables -v report="$report" -v lines="$(wc -l <"$raw/UnicodeData.txt")" -f "$here/characters.awk" \
    "$raw/Jamo.txt" "$raw/UnicodeData.txt"
table ranges
table characters

for each in blocks:Blocks.txt scripts:Scripts.txt ages:DerivedAge.txt emoji_properties:emoji/emoji-data.txt; do
    name=${each%%:*}
    tell step "$name"
    awk -f "$here/ranges.awk" "$raw/${each#*:}" >"tables/$name.tsv"
    table "$name"
done

tell step aliases
grep '^[0-9A-F]' "$raw/NameAliases.txt" | tr ';' '\t' >tables/aliases.tsv
table aliases

tell step emoji
awk '
    BEGIN { OFS = "\t" }
    /^# group: /    { group = substr($0, 10) }
    /^# subgroup: / { subgroup = substr($0, 13) }
    /^[0-9A-F]/ {
        # 1F600    ; fully-qualified     # (the emoji itself) E1.0 grinning face
        sequence = $0; sub(/ *;.*/, "", sequence)
        status = $0;   sub(/^[^;]*; */, "", status);  sub(/ *#.*/, "", status)
        rest = $0;     sub(/^[^;]*;[^#]*# */, "", rest)
        split(rest, word, " ")
        name = substr(rest, length(word[1]) + length(word[2]) + 3)
        print sequence, status, word[1], substr(word[2], 2), name, group, subgroup
    }' "$raw/emoji/emoji-test.txt" >tables/emoji.tsv
table emoji

tell step readings
bzip2 -t "$raw/Unihan_Readings.txt.bz2"
bzip2 -dc "$raw/Unihan_Readings.txt.bz2" | sed -n 's/^U+//p' >tables/readings.tsv
table readings

tell step sources
sed 's/^\([0-9a-f]*\)  \(.*\)/\2	\1/' MANIFEST.sha256 >tables/sources.tsv
table sources
rm -r tables
