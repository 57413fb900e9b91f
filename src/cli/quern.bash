# SPDX-License-Identifier: Apache-2.0
# Completion of quern for bash: commands, options (asked of the program itself), files.
_quern() {
    local word=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]}
    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W "$(quern help --completion | cut -d' ' -f1)" -- "$word")
    elif [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(quern help --completion | grep "^$verb ")" -- "$word")
    else
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
    fi
}
complete -o filenames -F _quern quern
