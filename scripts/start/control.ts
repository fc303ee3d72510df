// The control directory of the trial: the files of control/, with an address, chains and a password of its own.
import { createHash } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import type { Place } from './place.ts'

/** `demo`, as openssl passwd -6 makes it: no secret, so it may as well be the same everywhere. */
const DEMO = '$6$acceptdtrial$eYwLiYDFWvl8jArIzCfU5LmfZT/RQWAXOuYsI72WziKIZHzma1yM6NYRI3Ev0f0kYKmkUYbyCRd0ADSQZ9hlY1'

interface Trial {
  readonly top: string
  readonly place: Place
  readonly smtp: number
  readonly pop3: number
}

const sha256 = (text: string | Uint8Array): string => createHash('sha256').update(text).digest('hex')

/** What the files of the trial say by themselves. */
function texts({ top, place, smtp, pop3 }: Trial): Readonly<Record<string, string>> {
  const { state, program, ids } = place
  const files = Object.fromEntries(
    readdirSync(join(top, 'control')).map((name) => [name, readFileSync(join(top, 'control', name), 'utf8')]),
  )
  const backend = join(program, 'dist/programs/acceptd-maildir')
  const passwords = join(state, 'control/passwords')
  const chain = (name: string, protocol: string): string =>
    `chain ${name}\n  checkpassword builtin ${passwords}\n  backend ${backend} ${protocol}\n`
  const home = join(state, 'home/demo')
  const [uid, gid] = ids === undefined ? [process.getuid?.(), process.getgid?.()] : [ids.demo, ids.demo]
  return {
    ...files,
    me: 'mail.example.org\n# The name of this host. Only the first line counts.\n',
    listeners: `# Made by npm start. ADDRESS:PORT PROTOCOL CHAIN\n127.0.0.1:${smtp} smtp submission\n127.0.0.1:${pop3} pop3 mailbox\n`,
    chains: [
      '# Made by npm start: what is run for a login, and for whom. The backend files messages in ~/Maildir, and serves them by POP3.',
      ids === undefined
        ? `socket ${join(state, 'run/helper.sock')}`
        : `account ${ids.runtime}\ngroup ${ids.runtime}\nsocket ${join(state, 'helper/helper.sock')}`,
      '',
      chain('submission', 'smtp'),
      chain('mailbox', 'pop3'),
    ].join('\n'),
    passwords: `demo:${DEMO}:${uid}:${gid}:demo user:${home}:/bin/sh\n`,
  }
}

/** Writes the files that are missing or unchanged since an earlier start; gives the names of those that the user has changed. */
export function writeControl(trial: Trial): readonly string[] {
  const { state } = trial.place
  const control = join(state, 'control')
  const record = join(state, '.written')
  mkdirSync(control, { recursive: true, mode: 0o755 })
  const before = (existsSync(record) ? JSON.parse(readFileSync(record, 'utf8')) : {}) as Readonly<
    Record<string, string>
  >
  const written: Record<string, string> = {}
  const kept: string[] = []
  for (const [name, text] of Object.entries(texts(trial))) {
    const file = join(control, name)
    const found = existsSync(file) ? sha256(readFileSync(file)) : undefined
    if (found !== undefined && found !== before[name] && found !== sha256(text)) {
      kept.push(name)
      continue
    }
    // The password file is read by the helper only.
    const mode = name === 'passwords' ? 0o600 : 0o644
    writeFileSync(file, text, { mode })
    chmodSync(file, mode)
    written[name] = sha256(text)
  }
  writeFileSync(record, `${JSON.stringify(written, undefined, 2)}\n`)
  return kept
}

/** The home of the demo user. */
export function makeHome({ state, ids }: Place): void {
  const home = join(state, 'home/demo')
  mkdirSync(home, { recursive: true, mode: 0o755 })
  if (ids === undefined) return
  chmodSync(join(state, 'home'), 0o755)
  if (lstatSync(home).uid === ids.demo) return
  chmodSync(home, 0o700)
  for (const path of [
    home,
    ...readdirSync(home, { recursive: true, encoding: 'utf8' }).map((name) => join(home, name)),
  ])
    if (!lstatSync(path).isSymbolicLink()) chownSync(path, ids.demo, ids.demo)
}
