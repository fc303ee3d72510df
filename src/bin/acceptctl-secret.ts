// A secret, which is never a word of the command line: the first line of a descriptor, or typed without an echo.
import { createReadStream } from 'node:fs'
import { err, ok, type Result } from 'neverthrow'

const KEYS = { interrupt: '\u0003', end: '\u0004', erase: ['\u007f', '\b'], kill: '\u0015' } as const
const LINE_END = 10
/** Octets; what is longer is no password. */
const LONGEST = 4096

/** An error is a sentence without a full stop, or undefined if somebody typed ^C. */
type Secret = Result<string, string | undefined>

/** `fd` left out: standard input, which may be a terminal. */
export function readSecret(name: string, fd: number | undefined): Promise<Secret> {
  if (fd !== undefined) return firstLine(name, createReadStream('', { fd, autoClose: false }))
  return process.stdin.isTTY ? typed(name) : firstLine(name, process.stdin)
}

async function firstLine(name: string, stream: AsyncIterable<Uint8Array>): Promise<Secret> {
  let bytes: Uint8Array = new Uint8Array(0)
  try {
    for await (const chunk of stream) {
      bytes = Buffer.concat([bytes, chunk])
      if (bytes.includes(LINE_END) || bytes.length > LONGEST) break
    }
  } catch (error) {
    return err(`the ${name} cannot be read: ${error instanceof Error ? error.message : String(error)}`)
  }
  const end = bytes.indexOf(LINE_END)
  const line = bytes.subarray(0, end < 0 ? bytes.length : end)
  if (line.length > LONGEST) return err(`the ${name} is longer than ${LONGEST} octets`)
  try {
    return ok(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(line).replace(/\r$/, ''))
  } catch {
    return err(`the ${name} is not UTF-8`)
  }
}

async function typed(name: string): Promise<Secret> {
  const { stdin, stderr } = process
  // Before the question: what is typed at its first sight is not echoed either.
  stdin.setRawMode(true)
  stdin.setEncoding('utf8')
  stderr.write(`${name}: `)
  try {
    const text: string[] = []
    for await (const chunk of stdin)
      for (const key of String(chunk)) {
        if (key === KEYS.interrupt) return err(undefined)
        if (key === '\r' || key === '\n' || key === KEYS.end) return ok(text.join(''))
        if (KEYS.erase.some((one) => one === key)) text.pop()
        else if (key === KEYS.kill) text.length = 0
        else text.push(key)
      }
    return ok(text.join(''))
  } finally {
    stdin.setRawMode(false)
    stderr.write('\n')
  }
}
