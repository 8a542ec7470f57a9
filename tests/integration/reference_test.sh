#!/usr/bin/env bash
# The manual page, the completion and the reference: they say what the program and the headers say, and no more.
set -u
export PATH=$LITBUILD_BIN_DIR:$PATH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0
complain() { printf 'reference: %s\n' "$*"; bad=1; }
for each in mandoc doxygen; do command -v "$each" >/dev/null || { echo "SKIPPED: reference: no $each"; exit 77; }; done

# The manuals.
for program in litbuild litbuild-plugin; do
    page=host/$program/reference/$program.1
    mandoc -T lint -W warning "$page" || complain "mandoc finds fault with $page"
    mandoc -T ascii -O width=1000 "$page" | sed 's/.\x08//g' >"$work/manual"
    commands=$("$program" --help | sed -n '/^Subcommands:/,/^$/s/^  \([a-z]*\) .*/\1/p')
    diff <(sort <<<"$commands") <(sed -n 's/^\.It Ic \([a-z]*\).*/\1/p' "$page" | sort) ||
        complain "$program: --help and the manual have other commands"
    for command in $commands; do
        line=$(grep "^     $command --\|^     $command [A-Z[]\|^     $command$" "$work/manual" | head -1)
        diff <("$program" "$command" --help | grep -oE '^  --[a-z-]+' | tr -d ' ' | sort -u) \
            <(grep -oE '\-\-[a-z-]+' <<<"$line" | sort -u) ||
            complain "$program $command: --help and the manual have other options"
    done
done

# The completion.
export LITBUILD_ROOT=$work/data
mkdir -p "$LITBUILD_ROOT/contoso/logs/19" "$LITBUILD_ROOT/contoso/logs/archive/7" "$LITBUILD_ROOT/fabrikam/logs"
source host/litbuild/reference/litbuild.bash
source host/litbuild-plugin/reference/litbuild-plugin.bash
completes() {   # EXPECTED WORD...
    local expected=$1
    shift
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
    "_${1/-/_}" "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
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

completes "probe" litbuild-plugin pr
completes "--only" litbuild-plugin check --o
completes "library.one-symbol library.owner" litbuild-plugin check my-store.so --only library.o

# The reference of the headers.
{ cat sdk/reference/Doxyfile; echo "OUTPUT_DIRECTORY = $work"; } | doxygen - >"$work/doxygen" 2>&1
[ -s "$work/doxygen" ] && complain "doxygen warns: $(cat "$work/doxygen")"
grep -q 'Moves a build out of the main list' "$work/html/"*.html || complain "the reference does not hold what store.hpp says"
exit $bad
