# The form most files of the database have, `FIRST..LAST ; VALUE # remark` or `CODE ; VALUE`: four columns of code points, and VALUE.
BEGIN {
    FS = ";"; OFS = "\t"
    for (i = 0; i < 16; i++) digit[substr("0123456789ABCDEF", i + 1, 1)] = i
}
function hex(text,    i, n) {
    for (i = 1; i <= length(text); i++) n = 16 * n + digit[substr(text, i, 1)]
    return n
}
/^[0-9A-F]/ {
    sub(/[ \t\r]*(#.*)?$/, "")
    gsub(/[ \t]/, "", $1); sub(/^[ \t]+/, "", $2); sub(/[ \t]+$/, "", $2)
    if (split($1, ends, /\.\./) == 1) ends[2] = ends[1]
    print ends[1], ends[2], hex(ends[1]), hex(ends[2]), $2
}
