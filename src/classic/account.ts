// The account that authup becomes before it listens to anybody.

import { readFileSync } from 'node:fs'

export interface Account {
  readonly uid: number
  readonly gid: number
}

/** A name or a number of /etc/passwd, or a number that is not there, which is its own group; never uid or gid 0. */
export function accountOf(name: string, passwd = '/etc/passwd'): Account | undefined {
  const numeric = /^\d{1,10}$/.test(name)
  for (const line of readFileSync(passwd, 'latin1').split('\n')) {
    const [login, , uid = '', gid = ''] = line.split(':')
    if ((login === name || (numeric && uid === name)) && /^\d+$/.test(uid) && /^\d+$/.test(gid))
      return unprivileged({ uid: Number(uid), gid: Number(gid) })
  }
  return numeric ? unprivileged({ uid: Number(name), gid: Number(name) }) : undefined
}

const unprivileged = (account: Account): Account | undefined =>
  account.uid > 0 && account.gid > 0 ? account : undefined

/** For good: real, effective and saved ids. Throws if the kernel refuses. */
export function become({ uid, gid }: Account): void {
  process.setgroups?.([])
  process.setgid?.(gid)
  process.setuid?.(uid)
  if (process.getuid?.() !== uid || process.geteuid?.() !== uid) throw new Error('still privileged')
}
