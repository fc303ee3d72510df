// control/fixsmtpio once more, as its page and the recorded cases have it, written without looking at src/rules: slow, plain, on whole texts.
// Only globs whose brackets are well formed are understood.

export interface ModelRule {
  readonly env: string
  readonly event: string
  readonly prepend: string
  readonly glob: string
  readonly exit: string
  readonly response: string
}

/** The rules of a file, or the number of the first line that is not one. */
export function modelRules(text: string): readonly ModelRule[] | number {
  const rules: ModelRule[] = []
  for (const [n, raw] of text.split('\n').entries()) {
    const line = raw.replace(/[ \t]+$/, '')
    if (line === '' || line.startsWith('#')) continue
    const [env, event, prepend, glob, exit, ...rest] = line.split(':')
    const response = rest.join(':')
    if (env === undefined || event === undefined || prepend === undefined || glob === undefined || exit === undefined)
      return n + 1
    if (rest.length === 0 || event === '' || glob === '' || line.includes('\0')) return n + 1
    if (exit !== '' && !(/^\d+$/.test(exit) && Number(exit) < 256)) return n + 1
    const ours = /^&(fixsmtpio|qmail-fixsmtpio|qmail-leavesmtpio)/.test(response)
    const known = ['&fixsmtpio_fixup', '&fixsmtpio_noop', '&qmail-fixsmtpio', '&qmail-leavesmtpio'].includes(response)
    const fixes = response === '&fixsmtpio_fixup' || response === '&qmail-fixsmtpio'
    const name = event.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
    if (ours && !known) return n + 1
    if (fixes && !['greeting', 'ehlo', 'helo', 'help', 'quit'].includes(name)) return n + 1
    if (name === 'clienteof' && response !== '') return n + 1
    rules.push({ env, event: name, prepend, glob, exit, response })
  }
  return rules
}

/** fnmatch(3) without flags, by trying everything. */
export function modelMatches(glob: string, text: string): boolean {
  if (glob === '') return text === ''
  if (glob.startsWith('*')) {
    for (let at = 0; at <= text.length; at += 1) if (modelMatches(glob.slice(1), text.slice(at))) return true
    return false
  }
  const set = /^\[([!^]?)(\]?[^\]]*)\]/.exec(glob)
  if (text === '') return false
  const [first = ''] = text
  if (set !== null) {
    const [whole, not, members = ''] = set
    let inside = false
    for (let at = 0; at < members.length; at += 1) {
      const from = members[at] ?? ''
      const isRange = members[at + 1] === '-' && at + 2 < members.length
      const to = isRange ? (members[at + 2] ?? '') : from
      if (isRange) at += 2
      inside ||= first >= from && first <= to
    }
    return inside === (not === '') && modelMatches(glob.slice(whole.length), text.slice(1))
  }
  const escaped = glob.startsWith('\\')
  const letter = escaped ? glob[1] : glob[0]
  if (letter === undefined) return false
  const same = (!escaped && letter === '?') || letter === first
  return same && modelMatches(glob.slice(escaped ? 2 : 1), text.slice(1))
}

export interface ModelReply {
  readonly reply: string
  readonly exit: number | undefined
}

const applying = (rules: readonly ModelRule[], event: string, set: readonly string[]): readonly ModelRule[] =>
  rules.filter((rule) => rule.event === event.toLowerCase() && (rule.env === '' || set.includes(rule.env)))

/** A request after the rules: of several, the words of the later one come first. */
export const modelRequest = (
  rules: readonly ModelRule[],
  event: string,
  set: readonly string[],
  line: string,
): string => applying(rules, event, set).reduce((text, { prepend }) => prepend + text, line)

/** What the fix-up of each event makes of a line of the reply, from line 0. */
export type ModelFixUp = (event: string, line: string, number: number) => string

export function modelReply(
  rules: readonly ModelRule[],
  event: string,
  set: readonly string[],
  reply: string,
  fixUp: ModelFixUp,
): ModelReply {
  let exit: number | undefined
  let rewritten = false
  const lines = (reply.match(/[^\n]*\n|[^\n]+$/g) ?? ['']).map((line, number) => {
    let out: string = line
    for (const rule of applying(rules, event, set)) {
      if (!modelMatches(rule.glob, line)) continue
      if (rule.exit !== '') exit = Number(rule.exit)
      if (rule.response === '&fixsmtpio_fixup') out = fixUp(event.toLowerCase(), out, number)
      else if (rule.response !== '&fixsmtpio_noop') out = rule.response
    }
    rewritten ||= out !== line
    return out === '' || out.endsWith('\n') ? out : `${out}\r\n`
  })
  // One line as the backend wrote it; a rule that writes the same without its ending has written it again.
  if (lines.length === 1 && !rewritten) return { reply, exit }
  const whole = lines.join('').match(/[^\n]*\n|[^\n]+$/g) ?? []
  const marked = whole.map((line, n) => {
    const [, text = '', ending = ''] = /^(.*?)(\r?\n?)$/s.exec(line) ?? []
    const mark = n === whole.length - 1 ? ' ' : '-'
    return text.length < 3 ? line : text.slice(0, 3) + mark + text.slice(4) + ending
  })
  return { reply: marked.join(''), exit }
}
