#!/bin/sh
# The database against the raw files, counted and read another way than load does; then it becomes the asset, ucd.sqlite.
. "$(dirname "$0")/common.sh"

same() {   # same WHAT EXPECTED FOUND
    [ "$2" = "$3" ] || fail "$1: expected $2, found $3"
    printf 'ok  %s: %s\n' "$1" "$3"
}

entries() { grep -c '^[0-9A-F]' "$raw/$1"; }

count() { sql "SELECT count(*) FROM $1"; }

tell step counts
tell progress 0/4 "row counts"
check_inputs
same "integrity of the file" ok "$(sql 'PRAGMA integrity_check')"
pairs=$(grep -c ', First>' "$raw/UnicodeData.txt")
same "ranges, as pairs of lines of UnicodeData.txt" "$pairs" "$(count ranges)"
same "characters with a line of their own" $(($(entries UnicodeData.txt) - 2 * pairs)) "$(count "characters WHERE range_id = ''")"
same "characters from ranges" "$(sql 'SELECT sum(last_number - first_number + 1) FROM ranges WHERE named')" \
    "$(count "characters WHERE range_id <> ''")"
same "blocks" "$(entries Blocks.txt)" "$(count blocks)"
same "scripts, in ranges" "$(entries Scripts.txt)" "$(count scripts)"
same "ages, in ranges" "$(entries DerivedAge.txt)" "$(count ages)"
same "aliases" "$(entries NameAliases.txt)" "$(count aliases)"
same "emoji properties, in ranges" "$(entries emoji/emoji-data.txt)" "$(count emoji_properties)"
same "emoji" "$(entries emoji/emoji-test.txt)" "$(count emoji)"
same "readings of ideographs" "$(bzip2 -dc "$raw/Unihan_Readings.txt.bz2" | grep -c '^U+')" "$(count readings)"
emoji=$(awk -F'[][]' '/^[0-9A-F.]+ *; Emoji /{ n += $2 } END { print n }' "$raw/emoji/emoji-data.txt")
same "characters that are emoji, by the counts in the file" "$emoji" "$(count 'characters WHERE emoji')"
same "characters without block or age" 0 "$(count 'characters WHERE block IS NULL OR age IS NULL')"

# DerivedName.txt gives the name of every character in another form, and no step before this one has read it.
tell step names
tell progress 1/4 "names, against DerivedName.txt"
awk '
    BEGIN { for (i = 0; i < 16; i++) digit[substr("0123456789ABCDEF", i + 1, 1)] = i }
    function hex(text,    i, n) {
        for (i = 1; i <= length(text); i++) n = 16 * n + digit[substr(text, i, 1)]
        return n
    }
    /^[0-9A-F]/ {
        ends = $1; name = $0
        sub(/^[^;]*; */, "", name)
        if (split(ends, end, /\.\./) == 1) end[2] = end[1]
        sub(/\*$/, "", name) ? suffixed = 1 : suffixed = 0
        for (n = hex(end[1]); n <= hex(end[2]); n++) {
            code = sprintf("%04X", n)
            print code "\t" name (suffixed ? code : "")
        }
    }' "$raw/extracted/DerivedName.txt" | sort >names.expected
sql -separator '	' "SELECT codepoint, name FROM characters WHERE category <> 'Cc'" | sort >names.found
cmp -s names.expected names.found || {
    diff names.expected names.found | head -n 10 >&2 || :
    fail "names differ from DerivedName.txt (above: < expected, > found)"
}
same "names, each compared with DerivedName.txt" "$(wc -l <names.expected)" "$(wc -l <names.found)"
rm names.expected names.found

tell step queries
tell progress 2/4 "queries with known answers"
answers() {   # answers QUESTION EXPECTED SQL
    same "$1" "$2" "$(sql "$3")"
}
answers "U+1F600" "GRINNING FACE" "SELECT name FROM characters WHERE codepoint = '1F600'"
answers "U+0041, where and since when" "LATIN CAPITAL LETTER A|Basic Latin|Latin|1.1|0061" \
    "SELECT name, block, script, age, lowercase FROM characters WHERE codepoint = '0041'"
answers "U+4E2D, from a range, named by rule" "CJK UNIFIED IDEOGRAPH-4E2D|CJK Ideograph" \
    "SELECT c.name, r.name FROM characters c JOIN ranges r ON r.id = c.range_id WHERE codepoint = '4E2D'"
answers "U+D55C, a syllable spelled from its parts" "HANGUL SYLLABLE HAN" "SELECT name FROM characters WHERE codepoint = 'D55C'"
answers "U+0007, a control, has aliases instead of a name" "ALERT, BEL" \
    "SELECT group_concat(alias, ', ') FROM aliases WHERE codepoint = '0007'"
answers "U+E000, private use, is in a range only" "0|Private Use" \
    "SELECT (SELECT count(*) FROM characters WHERE codepoint = 'E000'), name FROM ranges WHERE 57344 BETWEEN first_number AND last_number"
echo "What U+4E2D means:      $(sql "SELECT value FROM readings WHERE codepoint = '4E2D' AND field = 'kDefinition'")"
echo "Largest scripts:        $(sql "SELECT group_concat(script || ' ' || n, ', ') FROM
    (SELECT script, count(*) n FROM characters GROUP BY script ORDER BY n DESC LIMIT 4)")"
echo "Newest version, adding: $(sql "SELECT age || ', ' || count(*) || ' characters' FROM characters
    GROUP BY age ORDER BY CAST(age AS REAL) DESC LIMIT 1")"
echo "Snowmen:                $(sql "SELECT group_concat('U+' || codepoint || ' ' || name, ', ') FROM
    (SELECT codepoint, name FROM characters WHERE name LIKE '%SNOWMAN%' ORDER BY number)")"

tell progress 3/4 publishing
chmod a-w "$database"
mv "$database" ucd.sqlite
echo "ucd.sqlite is verified: $(wc -c <ucd.sqlite) bytes"
tell progress 4/4 "ucd.sqlite is verified"
