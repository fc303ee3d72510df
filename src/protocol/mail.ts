// The parameters of MAIL (RFC 5321 section 4.1.2), which follow the path.

/** A path in brackets, in which a quoted local part may contain blanks and brackets, or one without. */
const PATH = /^FROM:[ \t]*(?:<(?:"(?:[^"\\]|\\.)*"|[^">])*>|[^ \t<]*)/is

const AUTH = /[ \t\v\f\r]+AUTH(?:=[^ \t\v\f\r]*)?(?![^ \t\v\f\r])/gi
const BINARY = /[ \t\v\f\r]BODY=BINARYMIME(?![^ \t\v\f\r])/i

function partsOf(argument: string): readonly [path: string, parameters: string] {
  const path = PATH.exec(argument)?.[0] ?? ''
  return [path, argument.slice(path.length)]
}

/** RFC 4954 section 5: AUTH= is for a server that has offered AUTH. */
export function withoutAuth(argument: string): string {
  const [path, parameters] = partsOf(argument)
  return path + parameters.replace(AUTH, '')
}

/** RFC 3030 section 3. */
export const isBinary = (argument: string): boolean => BINARY.test(partsOf(argument)[1])

/** RFC 1870 section 6.1: the size that MAIL declares is over the limit. Read loosely, as a backend may. */
export function isOver(argument: string, limit: number): boolean {
  for (const [, size] of argument.matchAll(/(?<![^ \t])SIZE=(\d+)/gi)) if (Number(size) > limit) return true
  return false
}

/** What SIZE says among the keywords of EHLO; Infinity: nothing, or that there is no limit. */
export function sizeLimit(capabilities: readonly string[]): number {
  const [limit] = capabilities.flatMap((line) => /^\s*SIZE\s+(\d+)\s*$/i.exec(line)?.[1] ?? [])
  return limit === undefined || Number(limit) === 0 ? Number.POSITIVE_INFINITY : Number(limit)
}

/** The lines of EHLO name the keyword. */
export const hasKeyword = (capabilities: readonly string[], keyword: string): boolean =>
  capabilities.some((line) => line.trim().split(/\s/, 1)[0]?.toUpperCase() === keyword)
