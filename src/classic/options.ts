// Command lines as qmail's sgetopt reads them.

export interface Options {
  /** The last argument of each option that was given. */
  readonly given: ReadonlyMap<string, string>
  readonly rest: readonly string[]
  /** What sgetopt says on stderr, without the program's name; the program adds its usage. */
  readonly problem: string | undefined
}

/** `letters`: options that take an argument, attached (-t2) or not (-t 2). The first word that begins with `--`, or is no option, ends them. */
export function readOptions(words: readonly string[], letters: string): Options {
  const given = new Map<string, string>()
  let at = 0
  for (; at < words.length; at += 1) {
    const word = words[at] as string
    if (word.startsWith('--')) {
      at += 1
      break
    }
    if (!word.startsWith('-') || word === '-') break
    const letter = word.slice(1, 2)
    if (!letters.includes(letter)) return { given, rest: [], problem: `illegal option -- ${letter}` }
    const attached = word.slice(2)
    if (attached === '') at += 1
    const argument = attached === '' ? words[at] : attached
    if (argument === undefined) return { given, rest: [], problem: `option requires an argument -- ${letter}` }
    given.set(letter, argument)
  }
  return { given, rest: words.slice(at), problem: undefined }
}
