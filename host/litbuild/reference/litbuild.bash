# Completion of litbuild for bash (and for zsh, after bashcompinit). Commands and options are what the program's own --help
# says; teams and run ids are those of the root that the line, the environment or the configuration names.

# The options of a help text that take a value.
_litbuild_valued() { sed -nE 's/^  (--[a-z-]+) [A-Z]+( .*)?$/\1/p' | tr '\n' ' '; }

_litbuild() {
    local program=$1 word=$2 previous=$3
    local where=() positionals=() command='' help valued i
    help=$("$program" --help 2>/dev/null)
    valued=" $(_litbuild_valued <<<"$help")"
    for ((i = 1; i < COMP_CWORD; ++i)); do
        case ${COMP_WORDS[i]} in
        --) return ;;   # a command to run: the shell's own completion is better
        --root | --config) where+=("${COMP_WORDS[i]}" "${COMP_WORDS[++i]}") ;;
        -*) [[ $valued == *" ${COMP_WORDS[i]} "* ]] && ((++i)) ;;
        *)
            if [ -z "$command" ]; then
                command=${COMP_WORDS[i]}
                help=$("$program" "$command" --help 2>/dev/null)$'\n'$help
                valued=" $(_litbuild_valued <<<"$help")"
            else
                positionals+=("${COMP_WORDS[i]}")
            fi
            ;;
        esac
    done

    local candidates=''
    case $previous in
    --root) COMPREPLY=($(compgen -d -- "$word")); return ;;
    --config | --spec) COMPREPLY=($(compgen -f -- "$word")); return ;;
    --state) candidates='queued running stopping complete failed error stopped lost unknown' ;;
    *)
        if [[ $valued == *" $previous "* ]]; then
            return
        elif [[ $word == -* ]]; then
            candidates=$(sed -nE 's/^  (-[a-z],)?(--[a-z-]+)( .*)?$/\2/p' <<<"$help")
        elif [ -z "$command" ]; then
            candidates=$(sed -n '/^Subcommands:/,/^$/s/^  \([a-z]*\) .*/\1/p' <<<"$help")
        elif [ ${#positionals[@]} -eq 0 ]; then
            grep -q '^  TEAM' <<<"$help" && candidates=$("$program" "${where[@]}" teams 2>/dev/null)
        elif grep -q '^  ID' <<<"$help"; then
            local scope=()
            case $command in
            restore | remove) scope=(--archived) ;;
            stop | archive) ;;
            *) scope=(--all) ;;
            esac
            candidates=$("$program" "${where[@]}" list "${positionals[0]}" "${scope[@]}" --limit 200 2>/dev/null |
                sed -n 's/^\([0-9][0-9]*\) .*/\1/p')
        fi
        ;;
    esac
    COMPREPLY=($(compgen -W "$candidates" -- "$word"))
}
complete -F _litbuild litbuild
