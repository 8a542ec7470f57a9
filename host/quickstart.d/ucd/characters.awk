# Jamo.txt UnicodeData.txt -> characters.tsv and ranges.tsv in the folder `out`; the first 20 % of the step.
#
# UnicodeData.txt has a line for each character, except for large uniform sets, which it gives as two lines:
#     4E00;<CJK Ideograph, First>;Lo;...
#     9FFF;<CJK Ideograph, Last>;Lo;...
# Each such pair is a row of `ranges`. Where the standard gives the members names by a rule (ideographs: the code point as a
# suffix; Hangul syllables: spelled from their parts, which Jamo.txt names), each member is a row of `characters` too, so
# that it is found like any other. Surrogates and private use have no names and stay ranges.

BEGIN {
    FS = ";"; OFS = "\t"
    for (i = 0; i < 16; i++) digit[substr("0123456789ABCDEF", i + 1, 1)] = i
    lead = hex("1100"); vowel = hex("1161"); trail = hex("11A7"); syllable = hex("AC00")
}

function hex(text,    i, n) {
    for (i = 1; i <= length(text); i++) n = 16 * n + digit[substr(text, i, 1)]
    return n
}

function name_of(range, n, code,    i) {
    if (range ~ /^CJK Ideograph/) return "CJK UNIFIED IDEOGRAPH-" code
    if (range ~ /^Tangut Ideograph/) return "TANGUT IDEOGRAPH-" code
    if (range != "Hangul Syllable") return ""
    i = n - syllable
    return "HANGUL SYLLABLE " jamo[lead + int(i / 588)] jamo[vowel + int(i % 588 / 28)] jamo[trail + i % 28]
}

function character(code, n, name, range) {
    print code, n, name, $3, $4, $5, $6, $7, $8, $9, $10, $11, $13, $14, $15, range >(out "/characters.tsv")
}

{ sub(/\r$/, "") }

FILENAME ~ /Jamo\.txt$/ {
    sub(/ *#.*/, "")
    if (NF > 1) { sub(/^ +/, "", $2); jamo[hex($1)] = $2 }
    next
}

FNR % 8000 == 0 { print "progress " int(20 * FNR / lines) "% characters, line " FNR >>report; close(report) }

$2 ~ /, First>$/ { first = $1; range = substr($2, 2, length($2) - 9); next }

$2 ~ /, Last>$/ {
    if (substr($2, 2, length($2) - 8) != range) { print FILENAME ":" FNR ": ends a range that did not begin" >"/dev/stderr"; exit 1 }
    from = hex(first); to = hex($1); named = name_of(range, from, first) != ""
    print ++ranges, first, $1, from, to, range, $3, to - from + 1, named >(out "/ranges.tsv")
    for (n = from; named && n <= to; n++) { code = sprintf("%04X", n); character(code, n, name_of(range, n, code), ranges) }
    range = ""
    next
}

{ character($1, hex($1), $2, "") }
