# Completion of vgpu-admin and vgpu-run for bash. vgpu-admin itself knows what may stand where: this passes on what
# is typed, and takes what it prints.

# Prints the candidates for the words given, the last being the one at the cursor.
_vgpu_candidates() { # PROGRAM WORD...
    local program=${1/#\~/$HOME}
    [[ $program != */* || $program == */vgpu-admin ]] || program=${program%/*}/vgpu-admin
    [[ $program == */* ]] || program=vgpu-admin
    "$program" __complete "${@:2}" 2>/dev/null
}

# Fills COMPREPLY with the candidates for $1..., the last word being at the cursor.
_vgpu_reply() { # PROGRAM WORD...
    local candidate current=${*: -1}
    COMPREPLY=()
    while IFS=$'\t' read -r candidate _; do
        # Where '=' parts words, only what stands behind it is replaced.
        [[ $COMP_WORDBREAKS == *=* && $current == *=* ]] && candidate=${candidate#"${current%%=*}="}
        [[ $candidate == *= ]] && compopt -o nospace 2>/dev/null
        [[ $candidate == *= ]] || printf -v candidate %q "$candidate"
        COMPREPLY+=("$candidate")
    done < <(_vgpu_candidates "$@")
}

# The words up to the cursor, with those that bash has parted at '=' put together again, in the array words.
_vgpu_words() {
    local i word previous=
    words=()
    for ((i = 1; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]//\\/}
        word=${word#[\"\']}
        if [[ ${#words[@]} -gt 0 && ($word == '=' || $previous == '=') ]]; then
            words[${#words[@]} - 1]+=$word
        else
            words+=("$word")
        fi
        previous=$word
    done
    [[ ${#words[@]} -gt 0 ]] || words=('')
}

_vgpu_admin() {
    local words
    _vgpu_words
    _vgpu_reply "${COMP_WORDS[0]}" "${words[@]}"
}

_vgpu_run() {
    local words word current
    _vgpu_words
    current=${words[${#words[@]} - 1]}
    for word in "${words[@]:0:${#words[@]}-1}"; do
        if [[ $word == -- || $word != -* ]]; then
            COMPREPLY=()
            return # the rest is the command's
        fi
    done
    if [[ $current == --vm-uuid=* ]]; then
        _vgpu_reply "${COMP_WORDS[0]}" show-vm "$current"
    elif [[ $current == -* || -z $current ]]; then
        mapfile -t COMPREPLY < <(compgen -W '--vm-uuid= --config= --help --version --' -- "$current")
        [[ ${COMPREPLY[0]-} != *= ]] || compopt -o nospace 2>/dev/null
    fi
}

complete -o default -F _vgpu_admin vgpu-admin
complete -o default -F _vgpu_run vgpu-run
