// Lines out of the reads of one connection, as octets: what is no UTF-8 is refused line by line.

/** Octets of a line or of an HTTP body. */
export const LINE_LIMIT = 1024 * 1024
const NEWLINE = 10
/** Many small pieces of one line are joined now and then, so that their count is bounded too. */
const MOST_PIECES = 256

/** What has come since the last line end. */
export interface LineInput {
  pieces: Buffer[]
  octets: number
}

export const newLineInput = (): LineInput => ({ pieces: [], octets: 0 })

/** The whole lines that end in this read, without their line ends; undefined: a line is longer than LINE_LIMIT. */
export function takeRead(input: LineInput, read: Buffer): Buffer[] | undefined {
  const lines: Buffer[] = []
  let start = 0
  for (let end = read.indexOf(NEWLINE); end >= 0; end = read.indexOf(NEWLINE, start)) {
    const line = joined(input, read.subarray(start, end))
    if (line === undefined) return undefined
    lines.push(line)
    input.pieces = []
    input.octets = 0
    start = end + 1
  }
  const rest = read.subarray(start)
  if (rest.length > 0) {
    input.pieces.push(rest)
    input.octets += rest.length
    if (input.pieces.length > MOST_PIECES) input.pieces = [Buffer.concat(input.pieces)]
  }
  return input.octets > LINE_LIMIT ? undefined : lines
}

/** What is left at the end of file: a line without a line end. */
export function takeLast(input: LineInput): Buffer[] {
  const last = input.octets === 0 ? [] : [Buffer.concat(input.pieces)]
  input.pieces = []
  input.octets = 0
  return last
}

const joined = ({ pieces, octets }: LineInput, end: Buffer): Buffer | undefined =>
  octets + end.length > LINE_LIMIT ? undefined : pieces.length === 0 ? end : Buffer.concat([...pieces, end])

const HTTP_REQUEST = /^[A-Z]+ \S+ HTTP\/1\.[01]\r?$/

/** For the first line of a connection: a request of HTTP/1.1 with everything that has come, undefined if it is none. */
export function httpRequest(input: LineInput, read: Buffer): Buffer | undefined {
  const end = read.indexOf(NEWLINE)
  const line = end < 0 ? undefined : joined(input, read.subarray(0, end))
  return line !== undefined && HTTP_REQUEST.test(line.toString('latin1'))
    ? Buffer.concat([line, read.subarray(end)])
    : undefined
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

export function utf8Text(line: Buffer): string | undefined {
  try {
    return utf8.decode(line)
  } catch {
    return undefined
  }
}
