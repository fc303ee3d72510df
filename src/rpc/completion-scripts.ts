// The completion scripts that acceptctl prints. Each gives the words of the line to `acceptctl complete`, which answers with a
// candidate a line, a tab and a hint; `:files` leaves it to the shell. Names come from clients, so no shell may expand what it gets.

const BASH = `# bash completion for acceptctl: acceptctl completion bash > /etc/bash_completion.d/acceptctl
_acceptctl() {
  local i word glued= value hint last piece lead
  local -a words=()
  # bash divides words at = and :, which are parts of ours.
  for ((i = 1; i <= COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    if ((\${#words[@]} > 0)) && [[ $glued || $word == [=:]* ]]; then words[-1]+=$word; else words+=("$word"); fi
    [[ $word == *[=:] ]] && glued=1 || glued=
  done
  last=\${words[-1]} piece=\${COMP_WORDS[COMP_CWORD]}
  [[ $piece == [=:]* ]] && piece=
  lead=\${last%"$piece"}
  COMPREPLY=()
  while IFS=$'\\t' read -r value hint; do
    if [[ $value == :files ]]; then
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -f -- "$piece")
      return
    fi
    printf -v value %q "\${value#"$lead"}"
    COMPREPLY+=("$value")
  done < <("\${COMP_WORDS[0]}" complete -- "\${words[@]}" 2>/dev/null)
  [[ \${#COMPREPLY[@]} == 1 && \${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
  return 0
}
complete -F _acceptctl acceptctl
`

const ZSH = `#compdef acceptctl
# zsh completion for acceptctl: acceptctl completion zsh > a directory of $fpath/_acceptctl
_acceptctl() {
  local line
  local -a values shown ending
  for line in "\${(@f)$("$words[1]" complete -- "\${(@Q)words[2,CURRENT]}" 2>/dev/null)}"; do
    if [[ $line == :files ]]; then
      compset -P '*='
      _files
      return
    fi
    [[ -n $line ]] || continue
    values+=("\${line%%$'\\t'*}")
    shown+=("\${line/$'\\t'/  -- }")
  done
  [[ $values[1] == *= ]] && ending=(-S '')
  compadd $ending -l -d shown -a values
}
if [ "$funcstack[1]" = _acceptctl ]; then _acceptctl "$@"; else compdef _acceptctl acceptctl; fi
`

const FISH = `# fish completion for acceptctl: acceptctl completion fish > ~/.config/fish/completions/acceptctl.fish
function __acceptctl_complete
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    set -l found ($before[1] complete -- $before[2..] "$current" 2>/dev/null)
    if test "$found[1]" = ':files'
        __fish_complete_path "$current"
    else if set -q found[1]
        printf '%s\\n' $found
    end
end
complete -c acceptctl -f -a '(__acceptctl_complete)'
`

export const COMPLETION_SCRIPTS = { bash: BASH, zsh: ZSH, fish: FISH } as const
