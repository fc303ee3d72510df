// A chain whose checkpassword knows plain passwords and tokens: plain-checkpassword.py, with a file of them.
import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Chain } from './installation.ts'
import { TOP } from './machine.ts'
import type { TestUser } from './users.ts'

const MECHANISMS = ['PLAIN', 'LOGIN', 'CRAM-MD5', 'APOP', 'XOAUTH2', 'OAUTHBEARER'] as const

/** The chain `plain`, otherwise like the other one; `known` is who may log in, each with a token. */
export function plainChain(dir: string, like: Chain, known: readonly (readonly [TestUser, string])[]): Chain {
  // In a separate folder: the one above is searched for passwords.
  const folder = join(dir, 'plain')
  mkdirSync(folder, { mode: 0o755 })
  const [program, file] = [join(folder, 'plain-checkpassword.py'), join(folder, 'known')]
  cpSync(join(TOP, 'test/system/plain-checkpassword.py'), program)
  const lines = known.map(([{ name, password, uid, gid, home }, token]) =>
    [name, password, token, uid, gid, home].join('\t'),
  )
  writeFileSync(file, `${lines.join('\n')}\n`, { mode: 0o600 })
  const checkpassword = ['/usr/bin/python3', '-I', program, file]
  return { ...like, name: 'plain', checkpassword, mechanisms: MECHANISMS, credentials: 8192 }
}
