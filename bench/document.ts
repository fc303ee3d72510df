// The parts of docs/reliability.md that runs write.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { top } from './fixture.ts'

/** Puts the text between the two marks of its name: `<!-- faults -->` and `<!-- end of faults -->`. */
export function writeSection(name: string, text: string): void {
  const file = join(top, 'docs/reliability.md')
  const [before, after] = [`<!-- ${name} -->\n`, `<!-- end of ${name} -->`]
  const document = readFileSync(file, 'utf8')
  const [start, end] = [document.indexOf(before), document.indexOf(after)]
  if (start < 0 || end < start) throw new Error(`${file} has no place for ${name}`)
  writeFileSync(file, `${document.slice(0, start)}${before}${text}${document.slice(end)}`)
}
