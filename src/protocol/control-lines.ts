// qmail's way of reading control files: qmail-control(5), control_readline and control_readfile.

export interface ControlLine {
  /** Counted from 1. */
  readonly line: number
  readonly text: string
}

/** control_readline: the first line, without trailing spaces, tabs and newlines. */
export function firstLine(text: string): string {
  const end = text.indexOf('\n')
  return trimEnd(end < 0 ? text : text.slice(0, end))
}

/** control_readfile: every line that is neither empty nor a comment; a comment begins in the first column. */
export function controlLines(text: string): readonly ControlLine[] {
  const lines: ControlLine[] = []
  text.split('\n').forEach((raw, i) => {
    const trimmed = trimEnd(raw)
    if (trimmed !== '' && !trimmed.startsWith('#')) lines.push({ line: i + 1, text: trimmed })
  })
  return lines
}

/** Spaces and tabs only: a CR stays, as in qmail. */
export function trimEnd(text: string): string {
  let end = text.length
  while (end > 0 && (text.charCodeAt(end - 1) === 32 || text.charCodeAt(end - 1) === 9)) end -= 1
  return text.slice(0, end)
}
