// How many columns of a terminal a text takes, as wcwidth(3) counts: 2 for what East Asian typography calls wide (UAX 11) and for
// pictures, 0 for what joins the character before it.

/** First and last code points of what is wide beside the characters that are pictures by themselves. */
const WIDE: readonly (readonly [first: number, last: number])[] = [
  [0x1100, 0x115f],
  [0x2329, 0x232a],
  [0x2e80, 0x303e],
  [0x3041, 0x33ff],
  [0x3400, 0x4dbf],
  [0x4e00, 0xa4cf],
  [0xa960, 0xa97c],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe10, 0xfe19],
  [0xfe30, 0xfe6f],
  [0xff01, 0xff60],
  [0xffe0, 0xffe6],
  [0x16fe0, 0x18dff],
  [0x1aff0, 0x1b2ff],
  [0x1d300, 0x1d376],
  [0x1f200, 0x1f265],
  [0x20000, 0x3fffd],
]
/** Jamo that continue a syllable take no column of their own. */
const NOTHING = /^[\p{Mn}\p{Me}\p{Cf}\u1160-\u11ff\ud7b0-\ud7fb]$/u
const PICTURE = /^\p{Emoji_Presentation}$/u
const ASCII = /^[\x20-\x7e]*$/

function widthOf(character: string): number {
  const code = character.codePointAt(0) ?? 0
  if (code < 0x300) return 1
  if (NOTHING.test(character)) return 0
  return WIDE.some(([first, last]) => code >= first && code <= last) || PICTURE.test(character) ? 2 : 1
}

export function displayWidth(text: string): number {
  if (ASCII.test(text)) return text.length
  let width = 0
  for (const character of text) width += widthOf(character)
  return width
}

/** At most so many columns; where something is left out, the last is an ellipsis. */
export function cutTo(text: string, width: number): string {
  if (displayWidth(text) <= width) return text
  if (width < 1) return ''
  let kept = ''
  let used = 0
  for (const character of text) {
    const more = widthOf(character)
    if (used + more > width - 1) break
    kept += character
    used += more
  }
  return `${kept}\u2026`
}

/** Exactly so many columns. */
export function fitTo(text: string, width: number, right = false): string {
  const cut = cutTo(text, width)
  const blanks = ' '.repeat(width - displayWidth(cut))
  return right ? blanks + cut : cut + blanks
}

const GAP = 2
/** No column is made narrower than this for the sake of others. */
const LEAST = 6

/** Widths of columns with two blanks between that fit into `width` together: the widest give way, as far as they can. */
export function columnWidths(wanted: readonly number[], width: number): readonly number[] {
  const total = (most: number) => wanted.reduce((sum, one) => sum + Math.min(one, most) + GAP, -GAP)
  let most = Math.max(LEAST, ...wanted)
  while (most > LEAST && total(most) > width) most--
  // What is left over goes to those that gave way, from the left.
  let left = Math.max(0, width - total(most))
  return wanted.map((one) => Math.min(one, most + (one > most && left-- > 0 ? 1 : 0)))
}
