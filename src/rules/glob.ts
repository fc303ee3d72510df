// fnmatch(3) with no flags in the C locale, on latin1 text: `*` and `?` match any byte, `/`, a leading dot and CR LF too.
//
// A pattern is compiled to steps by its positions: each step takes one byte and says where in the pattern to go on. Matching keeps two
// marks, the last `*` and where its text began, and never looks further back than that: at most length of text times length of pattern.
// (A regular expression made from `*a*a*a*b` runs for seconds on sixty bytes.)
//
// glibc reads a bracket expression again for each byte, and in a malformed one the byte decides where the expression ends. So a bracket is
// kept as a table of 256 answers, each found by reading it as glibc does, once.

const STAR = -1
const ANY = -2
const NEVER = -3
const BRACKET = -4
/** Any other step is the code of the byte it takes. */

interface Program {
  readonly glob: string
  /** What to do at each position, and where to go on after it; a bracket's next is that of its byte. */
  readonly steps: Int16Array
  readonly nexts: Int32Array
  /** By position of a bracket, for each byte the position after it, 0 for no match, UNKNOWN until a text has asked. */
  readonly brackets: Map<number, Int32Array>
}
const UNKNOWN = -1

const PLAIN = /^[^*?[\\]*\*?$/

/** Whether a text matches. What follows a NUL in the pattern is not part of it, as in C. */
export function compileGlob(pattern: string): (text: string) => boolean {
  const nul = pattern.indexOf('\0')
  const glob = nul < 0 ? pattern : pattern.slice(0, nul)
  // The shapes that rules have: nothing but stars, a literal beginning and then a star, a literal. Most need no steps at all.
  if (PLAIN.test(glob)) {
    if (!glob.endsWith('*')) return (text) => text === glob
    const start = glob.slice(0, -1)
    return start === '' ? everything : (text) => text.startsWith(start)
  }
  const program = compile(glob)
  let literal = ''
  let at = 0
  for (let code = program.steps[0] ?? NEVER; code >= 0; code = program.steps[at] ?? NEVER) {
    literal += String.fromCharCode(code)
    at = program.nexts[at] ?? glob.length
  }
  if (at >= glob.length) return (text) => text === literal
  if (program.steps[at] === STAR && program.nexts[at] === glob.length) {
    return literal === '' ? everything : (text) => text.startsWith(literal)
  }
  return (text) => run(program, text)
}

/** Without brackets and escapes there is nothing to compile. */
export const isPlainGlob = (pattern: string): boolean => !/[[\\\0]/.test(pattern)

/** The same for a plain pattern, which is part of a text: of 100,000 none is copied or kept. */
export function matchesPlain(within: string, from: number, to: number, text: string): boolean {
  const size = text.length
  let place = from
  let at = 0
  let star = -1
  let starred = 0
  for (;;) {
    if (place < to) {
      const code = within.charCodeAt(place)
      if (code === 0x2a) {
        place++
        if (place === to) return true
        star = place
        starred = at
        continue
      }
      if (at < size && (code === 0x3f || code === text.charCodeAt(at))) {
        place++
        at++
        continue
      }
    } else if (at === size) return true
    if (star < 0 || starred >= size) return false
    starred++
    at = starred
    place = star
  }
}

/** What every text that matches begins with, as far as the pattern says it octet by octet; so much of it at most. */
export function literalStart(pattern: string, most: number): string {
  let literal = ''
  for (let at = 0; at < pattern.length && literal.length < most; at++) {
    const char = pattern.charAt(at)
    if ('*?[\\\0'.includes(char)) break
    literal += char
  }
  return literal
}

/** Whether some reply line, three digits and then anything up to its newline, matches. Work: bytes times positions, whatever the pattern. */
export function canMatchReply(pattern: string): boolean {
  const nul = pattern.indexOf('\0')
  const program = compile(nul < 0 ? pattern : pattern.slice(0, nul))
  let places = withStars(program, [0])
  for (let digits = 0; digits < 3; digits++) places = afterBytes(program, places, 0x30, 0x39)
  const reached = new Set<number>(places)
  // A Set hands out what is added to it while it is walked.
  for (const place of reached) for (const next of afterBytes(program, [place], 0, 255)) reached.add(next)
  return afterBytes(program, reached, 0x0a, 0x0a).has(program.steps.length)
}

/** Positions that can follow these on a byte from `low` to `high`. */
function afterBytes(program: Program, places: Iterable<number>, low: number, high: number): ReadonlySet<number> {
  const { steps, nexts } = program
  const after: number[] = []
  for (const place of places) {
    const step = steps[place] ?? NEVER
    if (step === STAR) after.push(place)
    else if (step === ANY || (step >= low && step <= high)) after.push(nexts[place] ?? steps.length)
    else if (step === BRACKET)
      for (let code = low; code <= high; code++) {
        const next = behindByte(program, place, code)
        if (next > 0) after.push(next)
      }
  }
  return withStars(program, after)
}

/** A star may match nothing: a position at a star is also one at what follows it. */
function withStars({ steps, nexts }: Program, places: readonly number[]): ReadonlySet<number> {
  const all = new Set(places)
  for (const place of all) if (steps[place] === STAR) all.add(nexts[place] ?? steps.length)
  return all
}

function everything(): boolean {
  return true
}

function run(program: Program, text: string): boolean {
  const { steps, nexts } = program
  const end = steps.length
  const size = text.length
  let at = 0
  let place = 0
  let star = -1
  let starred = 0
  for (;;) {
    let matched = false
    if (place < end) {
      const step = steps[place] ?? NEVER
      if (step === STAR) {
        place = nexts[place] ?? end
        if (place >= end) return true
        star = place
        starred = at
        continue
      }
      if (at < size) {
        const code = text.charCodeAt(at)
        if (step === code || step === ANY) {
          place = nexts[place] ?? end
          matched = true
        } else if (step === BRACKET) {
          const next = behindByte(program, place, code)
          matched = next > 0
          if (matched) place = next
        }
      }
    } else if (at >= size) return true
    if (matched) at++
    else {
      if (star < 0 || starred >= size) return false
      starred++
      at = starred
      place = star
    }
  }
}

function compile(glob: string): Program {
  const end = glob.length
  const steps = new Int16Array(end)
  const nexts = new Int32Array(end)
  for (let at = end - 1; at >= 0; at--) {
    const code = glob.charCodeAt(at)
    steps[at] = code
    nexts[at] = at + 1
    if (code === 0x3f) steps[at] = ANY
    else if (code === 0x2a) {
      // A run of stars is one.
      if (steps[at + 1] === STAR) nexts[at] = nexts[at + 1] ?? end
      steps[at] = STAR
    } else if (code === BACKSLASH) {
      // At the very end it matches nothing.
      steps[at] = at + 1 < end ? glob.charCodeAt(at + 1) : NEVER
      nexts[at] = at + 2
    } else if (code === OPEN) steps[at] = BRACKET
  }
  return { glob, steps, nexts, brackets: new Map() }
}

function behindByte({ glob, brackets }: Program, place: number, code: number): number {
  let table = brackets.get(place)
  if (table === undefined) {
    table = new Int32Array(256).fill(UNKNOWN)
    brackets.set(place, table)
  }
  const known = table[code] ?? 0
  if (known !== UNKNOWN) return known
  const next = bracket(glob, place + 1, code)
  table[code] = next
  return next
}

const BANG = 0x21
const MINUS = 0x2d
const PERIOD = 0x2e
const COLON = 0x3a
const EQUALS = 0x3d
const OPEN = 0x5b
const BACKSLASH = 0x5c
const CLOSE = 0x5d
const CARET = 0x5e
const CLASS_NAME_LIMIT = 256

const upper = (byte: number): boolean => byte >= 0x41 && byte <= 0x5a
const lower = (byte: number): boolean => byte >= 0x61 && byte <= 0x7a
const digit = (byte: number): boolean => byte >= 0x30 && byte <= 0x39
const graph = (byte: number): boolean => byte > 0x20 && byte < 0x7f
const alnum = (byte: number): boolean => upper(byte) || lower(byte) || digit(byte)

/** The classes of the C locale; no byte above 127 is in any. */
const CLASSES: Readonly<Record<string, (byte: number) => boolean>> = {
  alnum,
  alpha: (byte) => upper(byte) || lower(byte),
  blank: (byte) => byte === 0x20 || byte === 9,
  cntrl: (byte) => byte < 0x20 || byte === 0x7f,
  digit,
  graph,
  lower,
  print: (byte) => graph(byte) || byte === 0x20,
  punct: (byte) => graph(byte) && !alnum(byte),
  space: (byte) => byte === 0x20 || (byte >= 9 && byte <= 13),
  upper,
  xdigit: (byte) => digit(byte) || (byte >= 0x41 && byte <= 0x46) || (byte >= 0x61 && byte <= 0x66),
}

/** The byte at a position, 0 after the end as in C. */
function byteAt(glob: string, at: number): number {
  return at < glob.length ? glob.charCodeAt(at) : 0
}

/**
 * One byte against the bracket expression whose text begins at `from`, after its `[`: the position after it, or 0 for no match. An
 * expression without an end is a literal `[`. Every odd turn here is glibc's.
 */
function bracket(glob: string, from: number, byte: number): number {
  let at = from
  const negated = byteAt(glob, at) === BANG || byteAt(glob, at) === CARET
  if (negated) at++
  const literal = byte === OPEN ? from : 0
  const matched = (after: number): number => {
    const next = afterBracket(glob, after)
    return next < 0 ? literal : negated ? 0 : next
  }
  let c = byteAt(glob, at++)
  for (;;) {
    let low = c
    let hit = false
    let ranged = false
    if (c === OPEN && isClass(glob, at)) {
      const name = className(glob, at)
      if (name === undefined || !Object.hasOwn(CLASSES, name)) return 0
      at += name.length + 3
      if (CLASSES[name]?.(byte) === true) return matched(at)
      c = byteAt(glob, at++)
    } else if (c === OPEN && isEquivalence(glob, at)) {
      hit = byte === byteAt(glob, at + 1)
      at += 4
      if (hit) return matched(at)
      c = byteAt(glob, at++)
    } else {
      if (c === 0) return literal
      if (c === OPEN && byteAt(glob, at) === PERIOD) {
        const symbol = collatingSymbol(glob, at)
        if (symbol === 0) return 0
        low = symbol
        at += 4
        ranged = byteAt(glob, at) === MINUS && byteAt(glob, at + 1) !== 0
      } else {
        if (c === BACKSLASH) {
          low = byteAt(glob, at++)
          if (low === 0) return 0
        }
        const high = byteAt(glob, at + 1)
        ranged = byteAt(glob, at) === MINUS && high !== 0 && high !== CLOSE
      }
      if (!ranged && byte === low) return matched(at)
      c = byteAt(glob, at++)
      if (c === MINUS && byteAt(glob, at) !== CLOSE) {
        let high = byteAt(glob, at++)
        if (high === OPEN && byteAt(glob, at) === PERIOD) {
          high = collatingSymbol(glob, at)
          at += 4
        } else if (high === BACKSLASH) high = byteAt(glob, at++)
        if (high === 0) return 0
        if (low <= byte && byte <= high) return matched(at)
        c = byteAt(glob, at++)
      }
    }
    if (c === CLOSE) return negated ? at : 0
  }
}

/** `[:`, lower-case letters but z (a slip of glibc's, which no class name feels), then `:]`; anything else makes the `[` a literal. */
function isClass(glob: string, at: number): boolean {
  if (byteAt(glob, at) !== COLON) return false
  for (let name = at + 1; name - at <= CLASS_NAME_LIMIT; name++) {
    const c = byteAt(glob, name)
    if (c === COLON && byteAt(glob, name + 1) === CLOSE) return true
    if (c < 0x61 || c >= 0x7a) return false
  }
  return true
}

/** undefined: longer than any name can be. */
function className(glob: string, at: number): string | undefined {
  const end = glob.indexOf(':', at + 1)
  return end < 0 || end - at > CLASS_NAME_LIMIT ? undefined : glob.slice(at + 1, end)
}

function isEquivalence(glob: string, at: number): boolean {
  if (byteAt(glob, at) !== EQUALS || byteAt(glob, at + 1) === 0) return false
  return byteAt(glob, at + 2) === EQUALS && byteAt(glob, at + 3) === CLOSE
}

/** `[.x.]` names x itself; the C locale has no other names, and no expression with one matches. 0 for those. */
function collatingSymbol(glob: string, at: number): number {
  const end = glob.indexOf('.]', at + 1)
  return end === at + 2 ? byteAt(glob, at + 1) : 0
}

/** After a match the rest of the expression is passed over, by rules that differ a little from those above. -1: it has no end; 0: no match. */
function afterBracket(glob: string, from: number): number {
  let at = from
  for (;;) {
    const c = byteAt(glob, at++)
    if (c === 0) return -1
    if (c === CLOSE) return at
    if (c === BACKSLASH) {
      if (byteAt(glob, at++) === 0) return 0
    } else if (c === OPEN) {
      const mark = byteAt(glob, at)
      if (mark === COLON && isClass(glob, at)) {
        const name = className(glob, at)
        if (name === undefined) return 0
        at += name.length + 3
      } else if (mark === EQUALS) {
        if (!isEquivalence(glob, at)) return 0
        at += 4
      } else if (mark === PERIOD) {
        const end = glob.indexOf('.]', at + 1)
        if (end < 0) return 0
        at = end + 2
      }
    }
  }
}
