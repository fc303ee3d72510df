// Writes log lines to its standard error, as requested line by line on standard input: `N` lines, numbered consecutively.
import { createInterface } from 'node:readline'
import { openLog } from '../../src/edge/log-writer.ts'

const log = openLog(2, (lines) => `lost ${lines}\n`)
let n = 0
createInterface(process.stdin).on('line', (line) => {
  for (let i = 0; i < Number(line); i += 1) {
    n += 1
    log.write(`line ${n} ${'x'.repeat(n % 7 === 0 ? 5000 : 50)}\n`)
  }
  process.stdout.write(`${n} ${log.dropped()}\n`)
})
