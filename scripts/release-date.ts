// The time of all that a release holds, in seconds: SOURCE_DATE_EPOCH (reproducible-builds.org), or the date of the newest version.
import { readFileSync } from 'node:fs'

export function releaseDate(): number {
  const { SOURCE_DATE_EPOCH: given } = process.env
  if (given !== undefined && /^\d+$/.test(given)) return Number(given)
  const [, date = ''] = /^## \S+, (\d{4}-\d\d-\d\d)$/m.exec(readFileSync('CHANGES.md', 'utf8')) ?? []
  return Date.parse(date) / 1000
}
