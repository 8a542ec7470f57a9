#!/usr/bin/env bash
# The manual page, the completion and the reference: they say what the program and the headers say, and no more.
set -u
program=$LITBUILD_BIN_DIR/litbuild reference=host/litbuild/reference
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0
complain() { printf 'reference: %s\n' "$*"; bad=1; }
for each in mandoc doxygen; do command -v "$each" >/dev/null || { echo "SKIPPED: reference: no $each"; exit 77; }; done

# The manual.
mandoc -T lint -W warning "$reference/litbuild.1" || complain "mandoc finds fault with litbuild.1"
mandoc -T ascii -O width=1000 "$reference/litbuild.1" | sed 's/.\x08//g' >"$work/manual"
commands=$("$program" --help | sed -n '/^Subcommands:/,/^$/s/^  \([a-z]*\) .*/\1/p')
diff <(sort <<<"$commands") <(sed -n 's/^\.It Ic \([a-z]*\).*/\1/p' "$reference/litbuild.1" | sort) ||
    complain "--help and the manual have other commands"
for command in $commands; do
    line=$(grep "^     $command --\|^     $command [A-Z[]\|^     $command$" "$work/manual" | head -1)
    diff <("$program" "$command" --help | grep -oE '^  --[a-z-]+' | tr -d ' ' | sort -u) \
        <(grep -oE '\-\-[a-z-]+' <<<"$line" | sort -u) || complain "$command: --help and the manual have other options"
done

# The completion.
export LITBUILD_ROOT=$work/data PATH=$LITBUILD_BIN_DIR:$PATH
mkdir -p "$LITBUILD_ROOT/contoso/logs/19" "$LITBUILD_ROOT/contoso/logs/archive/7" "$LITBUILD_ROOT/fabrikam/logs"
source "$reference/litbuild.bash"
completes() {   # EXPECTED WORD...
    local expected=$1
    shift
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
    _litbuild "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
    [ "${COMPREPLY[*]}" = "$expected" ] || complain "'$*' completes to '${COMPREPLY[*]}', not '$expected'"
}
completes "restore remove" litbuild re
completes "contoso fabrikam" litbuild list ""
completes "contoso" litbuild --json status co
completes "19" litbuild stop contoso ""
completes "7" litbuild restore contoso ""
completes "19 7" litbuild path contoso ""
completes "stopping stopped" litbuild list contoso --state st
completes "--older-than" litbuild prune contoso --ol
completes "" litbuild launch contoso -- ec
completes "" litbuild teams ""
completes "" litbuild --root /nowhere list ""

# The reference of the headers.
{ cat sdk/reference/Doxyfile; echo "OUTPUT_DIRECTORY = $work"; } | doxygen - >"$work/doxygen" 2>&1
[ -s "$work/doxygen" ] && complain "doxygen warns: $(cat "$work/doxygen")"
grep -q 'Moves a build out of the main list' "$work/html/"*.html || complain "the reference does not hold what store.hpp says"
exit $bad
