// What `npm start` says, and how it gives up.

export function say(text = ''): void {
  process.stdout.write(`${text}\n`)
}

/** Ends the start with a sentence and, if there is one, the exact remedy. */
export function giveUp(problem: string, remedy?: string, code = 1): never {
  process.stderr.write(`\nacceptd was not started: ${problem}\n${remedy === undefined ? '' : `${remedy}\n`}`)
  process.exit(code)
}

/** A word of sh. */
export function quoted(word: string): string {
  return /^[A-Za-z0-9_./:=%@+,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}
