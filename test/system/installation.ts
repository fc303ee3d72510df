// acceptd as an administrator would install it: a copy that belongs to root all the way up, its helper setuid, a control directory.
import { chmodSync, cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { TOP } from './machine.ts'
import { must } from './run.ts'

/** A chain of control/chains; the helper runs checkpassword, then the backend as the user. */
export interface Chain {
  readonly name: string
  /** `builtin`, `builtin FILE`, or a program; none for a guest. */
  readonly checkpassword?: readonly string[]
  readonly kind?: 'certificate'
  readonly mechanisms?: readonly string[]
  readonly credentials?: number
  readonly guest?: { readonly uid: number; readonly gid: number }
  readonly set?: Readonly<Record<string, string>>
  readonly warm?: number
  readonly backend: readonly string[]
}

export interface Installation {
  /** Holds everything else. */
  readonly dir: string
  /** dist/programs of the copy, with the setuid helper. */
  readonly programs: string
  readonly control: string
  /** For the control sockets; owned by the account. */
  readonly run: string
  readonly helperSocket: string
  /** Puts a file into the control directory; undefined removes it. */
  readonly write: (name: string, text: string) => void
  readonly writeChains: (chains: readonly Chain[], globals?: Readonly<Record<string, string | number>>) => void
}

interface Account {
  readonly name: string
  readonly uid: number
  readonly gid: number
}

function chainText({
  name,
  checkpassword,
  kind,
  mechanisms,
  credentials,
  guest,
  set = {},
  warm,
  backend,
}: Chain): string {
  return [
    `chain ${name}`,
    ...(guest === undefined ? [] : [`  kind guest ${guest.uid} ${guest.gid}`]),
    ...(kind === undefined ? [] : [`  kind ${kind}`]),
    ...(mechanisms === undefined ? [] : [`  mechanisms ${mechanisms.join(' ')}`]),
    ...(credentials === undefined ? [] : [`  credentials ${credentials}`]),
    ...(checkpassword === undefined ? [] : [`  checkpassword ${checkpassword.join(' ')}`]),
    ...Object.entries(set).map(([variable, value]) => `  set ${variable}=${value}`),
    ...(warm === undefined ? [] : [`  warm ${warm}`]),
    `  backend ${backend.join(' ')}`,
    '',
  ].join('\n')
}

/** Copies the built programs under `dir`, compiles the helper for the chains file there, and makes it setuid for the account. */
export async function install(dir: string, account: Account): Promise<Installation> {
  const home = join(dir, 'acceptd')
  const [programs, control, run, helper] = [
    join(home, 'dist/programs'),
    join(dir, 'control'),
    join(dir, 'run'),
    join(dir, 'helper'),
  ]
  cpSync(join(TOP, 'dist/programs'), programs, { recursive: true, verbatimSymlinks: true })
  await must(['chown', '-R', 'root:root', home])
  await must(['chmod', '-R', 'go-w,a+rX', home])
  const chains = join(control, 'chains')
  // A build of its own beside the copy: the chains file is compiled in.
  await must(['make', '-s', '-C', join(TOP, 'native'), `OUT=${programs}`, `CHAINS=${chains}`], { timeout: 120_000 })
  const program = join(programs, 'accept-helper')
  await must(['chown', `root:${account.gid}`, program])
  chmodSync(program, 0o4750)
  if (existsSync(join(TOP, 'control'))) cpSync(join(TOP, 'control'), control, { recursive: true })
  else mkdirSync(control)
  await must(['chmod', '-R', 'go-w,a+rX', control])
  mkdirSync(run, { mode: 0o700 })
  await must(['chown', `${account.uid}:${account.gid}`, run])

  const helperSocket = join(helper, 'helper.sock')
  const write = (name: string, text: string): void => writeFileSync(join(control, name), text, { mode: 0o644 })
  // All clients of the tests have one address, and many of them guess.
  write('limits', '')
  write('me', 'mx.acceptd.test\n')
  // What the backends of the tests can do. Without SASL curl would try APOP, since the greeting has a timestamp.
  write('smtpcapabilities', 'PIPELINING\n8BITMIME\n')
  write('pop3capabilities', 'UIDL\nSASL PLAIN LOGIN\n')
  return {
    dir,
    programs,
    control,
    run,
    helperSocket,
    write,
    writeChains: (list, globals = {}) => {
      const lines = Object.entries({ account: account.name, socket: helperSocket, ...globals })
      write('chains', `${lines.map(([word, value]) => `${word} ${value}\n`).join('')}${list.map(chainText).join('')}`)
    },
  }
}
