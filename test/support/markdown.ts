// The code of a page in Markdown: fenced blocks, and indented ones outside of lists.

export interface Block {
  /** After the fence, e.g. `sh`; `indented` for a block without one. */
  readonly info: string
  /** The heading that it is under. */
  readonly section: string
  /** The last line of text before it. */
  readonly before: string
  /** From 1, of the first line of the content. */
  readonly line: number
  /** Ends with a newline. */
  readonly content: string
}

export function blocksOf(text: string): readonly Block[] {
  const lines = text.split('\n')
  const blocks: Block[] = []
  let [section, before] = ['', '']
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at] ?? ''
    const [, indent = '', info] = /^( *)```(.*)$/.exec(line) ?? []
    const start = info === undefined ? at : at + 1
    let end = start
    if (info !== undefined) while (end < lines.length && lines[end] !== `${indent}\`\`\``) end += 1
    else if (/^ {4}/.test(line)) while (/^ {4}|^$/.test(lines[end] ?? 'end')) end += 1
    else {
      if (line !== '') before = line
      if (/^#+ /.test(line)) section = line.replace(/^#+ /, '')
      continue
    }
    const width = info === undefined ? line.search(/\S/) : indent.length
    const content = lines.slice(start, end).map((one) => one.slice(width))
    blocks.push({
      info: info ?? 'indented',
      section,
      before,
      line: start + 1,
      content: `${content.join('\n').trimEnd()}\n`,
    })
    at = info === undefined ? end - 1 : end
  }
  return blocks
}
