# Completion of litbuild-plugin for bash (and for zsh, after bashcompinit): commands and options are what --help says.
_litbuild_plugin() {
    local program=$1 word=$2 previous=$3 command=${COMP_WORDS[1]}
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        local commands
        commands=$("$program" --help 2>/dev/null | sed -n '/^Subcommands:/,/^$/s/^  \([a-z]*\) .*/\1/p')
        COMPREPLY=($(compgen -W "$commands --help --version" -- "$word"))
        return
    fi
    case $previous in
    --only)
        COMPREPLY=($(compgen -W "$("$program" check --list 2>/dev/null | grep -oE '^ *[a-z]+\.[a-z-]+')" -- "$word"))
        return
        ;;
    --time-limit) return ;;
    esac
    if [[ $word == -* ]]; then
        COMPREPLY=($(compgen -W "$("$program" "$command" --help 2>/dev/null |
            sed -nE 's/^  (-[a-z],)?(--[a-z-]+)( .*)?$/\2/p')" -- "$word"))
    else
        COMPREPLY=($(compgen -f -- "$word"))
    fi
}
complete -F _litbuild_plugin litbuild-plugin
