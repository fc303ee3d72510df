// What `npm start` says, and how it gives up.

export function say(text = '') {
  process.stdout.write(`${text}\n`)
}

/** Ends the start with a sentence and, if there is one, the exact remedy. */
export function giveUp(problem, remedy, code = 1) {
  process.stderr.write(`\nacceptd was not started: ${problem}\n${remedy === undefined ? '' : `${remedy}\n`}`)
  process.exit(code)
}

/** A word of sh. */
export function quoted(word) {
  return /^[A-Za-z0-9_./:=%@+,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}
