// The completion scripts that acceptctl prints for bash and zsh.
import { METHOD_MAP } from './methods.ts'
import type { Method } from './row.ts'
import { FORMATS } from './show.ts'
import { GLOBAL_OPTIONS, nouns, type Option, optionsOf, SPECIAL, TOP_OPTIONS } from './vocabulary.ts'

/** Lines `key<TAB>words`: what may follow nothing, a noun, a command, an option of a command. */
function completionTable(): readonly (readonly [key: string, words: readonly string[]])[] {
  const rows: [string, readonly string[]][] = [['', [...nouns().keys(), ...Object.keys(SPECIAL)]]]
  const global = GLOBAL_OPTIONS.map(({ name }) => `--${name}`)
  const add = (key: string, options: readonly Option[], args: readonly string[]) => {
    rows.push([key, [...args, ...options.map(({ name }) => `--${name}`), ...global, '--help']])
    for (const { name, values } of options) if (values.length > 0) rows.push([`${key} --${name}`, values])
  }
  for (const [noun, verbs] of nouns()) {
    rows.push([noun, [...verbs.keys()]])
    for (const [verb, method] of verbs) add(`${noun} ${verb}`, optionsOf(method), argWords(method))
  }
  const subscribe = METHOD_MAP.get('event.subscribe')
  if (subscribe) add('watch', optionsOf(subscribe), argWords(subscribe))
  add('top', TOP_OPTIONS, [])
  rows.push(['completion', ['bash', 'zsh']], ['call', [...METHOD_MAP.keys()]], ['help', [...nouns().keys()]])
  return rows
}

function argWords(method: Method): readonly string[] {
  const options = optionsOf(method)
  return (method.cli.args ?? []).flatMap((param) => options.find((one) => one.param === param)?.values ?? [])
}

function completionCases(): string {
  return completionTable()
    .map(([key, words]) => `    '${key}') found='${words.join(' ')}' ;;`)
    .join('\n')
}

/** Shared by both shells: `$1` is a key, the words end up in `found`. */
function lookup(): string {
  return `_acceptctl_words() {
  found=
  case "$1" in
${completionCases()}
    *' -o' | *' --output') found='${FORMATS.join(' ')}' ;;
  esac
}
# The command among the words before the cursor: up to two that are no options and no values of --socket, --output, --timeout.
_acceptctl_key() {
  local word skip= count=0
  key=
  for word in "$@"; do
    if [ -n "$skip" ]; then skip=; continue; fi
    case "$word" in
      --socket | --output | -o | --timeout) skip=1 ;;
      -*) ;;
      *)
        [ "$count" -lt 2 ] || continue
        case "$count $key" in
          '1 watch' | '1 top' | '1 call' | '1 completion' | '1 help') continue ;;
        esac
        key="\${key:+$key }$word"
        count=$((count + 1))
        ;;
    esac
  done
}`
}

export function bashCompletion(): string {
  return `# bash completion for acceptctl: acceptctl completion bash > /etc/bash_completion.d/acceptctl
${lookup()}
_acceptctl() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD - 1]}" key found
  case "$prev" in
    --socket | --*-file) COMPREPLY=($(compgen -f -- "$cur")); return ;;
  esac
  _acceptctl_key "\${COMP_WORDS[@]:1:COMP_CWORD - 1}"
  _acceptctl_words "$key $prev"
  [ -n "$found" ] || _acceptctl_words "$key"
  COMPREPLY=($(compgen -W "$found" -- "$cur"))
}
complete -F _acceptctl -o default acceptctl
`
}

export function zshCompletion(): string {
  return `#compdef acceptctl
# zsh completion for acceptctl: acceptctl completion zsh > a directory of $fpath/_acceptctl
${lookup()}
_acceptctl() {
  local key before="$words[CURRENT-1]"
  local -a typed
  typed=("\${(@)words[2,CURRENT-1]}")
  local found
  case "$before" in
    --socket | --*-file) _files; return ;;
  esac
  _acceptctl_key "$typed[@]"
  _acceptctl_words "$key $before"
  [ -n "$found" ] || _acceptctl_words "$key"
  compadd -- \${=found}
}
if [ "$funcstack[1]" = _acceptctl ]; then _acceptctl "$@"; else compdef _acceptctl acceptctl; fi
`
}
