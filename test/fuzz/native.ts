// The C parsers of native/: a harness each in test/fuzz/native, whose inputs are files in corpus/NAME.
import { join } from 'node:path'

export interface NativeTarget {
  readonly name: string
  /** What it reads. */
  readonly about: string
}

export const NATIVE_TARGETS: readonly NativeTarget[] = [
  { name: 'request', about: 'login.c: a session’s connection to the helper, and a chain’s verdict' },
  { name: 'chains', about: 'chains.c: the helper’s chains file' },
  { name: 'trusted', about: 'chains.c: paths and symbolic links that only root may have made' },
  { name: 'passwords', about: 'verify.c, cache.c: shadow(5), passwd(5), group(5), verified passwords' },
  { name: 'credentials', about: 'checkpassword.c: descriptor 3' },
  { name: 'clerk', about: 'clerk.c: notes of logins, watchers and the server' },
  { name: 'watch', about: 'watch.c: orders on a standing connection' },
  { name: 'log', about: 'say.c: lines of the log' },
  { name: 'account', about: 'acceptd.c: control/chains, control/statusgroup and control/state, read as root' },
  { name: 'activation', about: 'serve.c: LISTEN_FDS, LISTEN_FDNAMES and the plan' },
  { name: 'notify', about: 'acceptd-notify.c: NOTIFY_SOCKET and notices' },
  { name: 'relay', about: 'authup-helper.c: authup’s requests, and the environment' },
  { name: 'launch', about: 'authup.c: control/authupuser and the descriptors of UCSPI-TLS' },
]

const FOLDER = 'test/fuzz/native'
const FLAGS = ['-std=gnu11', '-g', '-fno-omit-frame-pointer', '-fno-sanitize-recover=all']
const WARNINGS = [
  '-Wall',
  '-Wextra',
  '-Wno-unused-parameter',
  '-Wno-unused-variable',
  '-Wno-uninitialized',
  '-Wno-unused-function',
]

/** For libFuzzer. */
export const fuzzerArguments = (name: string, program: string): readonly string[] => [
  ...FLAGS,
  ...WARNINGS,
  '-Werror',
  '-O1',
  '-fsanitize=fuzzer,address,undefined',
  '-o',
  program,
  join(FOLDER, `${name}.c`),
]

/** For any compiler: a program that runs the files of a folder. */
export const replayArguments = (name: string, program: string): readonly string[] => [
  ...FLAGS,
  '-O0',
  '-w',
  '-fsanitize=address,undefined',
  '-o',
  program,
  join(FOLDER, 'replay.c'),
  join(FOLDER, `${name}.c`),
]
