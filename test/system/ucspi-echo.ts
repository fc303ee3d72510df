// A program for the test of the UCSPI-TLS parent: STARTTLS, then it shows the variables it was given and repeats what it reads.
import { createReadStream, createWriteStream, readSync, writeSync } from 'node:fs'
import { Socket } from 'node:net'

const fd = (name: string): number => Number(process.env[name])

function block(): string {
  const bytes = Buffer.alloc(4096)
  let length = 0
  while (length < 2 || bytes[length - 1] !== 0 || bytes[length - 2] !== 0) {
    const more = readSync(fd('SSLCTLFD'), bytes, length, bytes.length - length, null)
    if (more === 0) return ''
    length += more
  }
  return bytes.toString('latin1', 0, length)
}

const client = new Socket({ fd: 0 })
client.write('220 plain\r\n')
client.once('data', (line) => {
  if (line.toString('latin1') !== 'STARTTLS\r\n') process.exit(1)
  // A paused socket reads on until its buffer is full, and would take the client's handshake from the parent.
  client.destroy()
  writeSync(1, '220 go\r\n')
  writeSync(fd('SSLCTLFD'), 'Y')
  const variables = block()
  if (variables === '') process.exit(2)
  const out = createWriteStream('', { fd: fd('SSLWRITEFD') })
  out.write(`250 ${variables.replaceAll('\0', ' ').trim()}\r\n`)
  createReadStream('', { fd: fd('SSLREADFD') })
    .pipe(out)
    .on('finish', () => process.exit(0))
})
