// What the helper accepts from the file system only if nobody but root could have made it, and what it leaves alone.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, copyFileSync, mkdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { account, Fixture, isRoot, user } from './fixture.ts'

const fixture = new Fixture()
after(() => fixture.remove())
const at = (...parts: string[]) => join(fixture.folder, ...parts)
const modeOf = (path: string) => {
  const { uid, gid, mode } = statSync(path)
  return `${uid}:${gid} ${(mode & 0o7777).toString(8)}`
}

void describe("the socket's folder", { skip: !isRoot }, () => {
  const path = at('socket-chains')
  /** What `serve` says and ends with; by its own socket, so that it ends immediately where it begins at all. */
  const serve = (socket: string, mode = 'serve') => {
    const text = `account ${account.uid}\ngroup ${account.gid}\nsocket ${socket}\nchain a\n checkpassword builtin\n backend /bin/true\n`
    writeFileSync(path, text, { mode: 0o644 })
    return spawnSync(fixture.helperPath, [mode, '-c', path], { encoding: 'utf8', input: '', timeout: 10_000 })
  }

  for (const [what, owner, group, mode] of [
    ['a folder of others to read', 0, 0, 0o755],
    ["root's own", 0, 0, 0o750],
    ["the group's, open to others", 0, account.gid, 0o755],
    ["the group's to write", 0, account.gid, 0o770],
    ["the account's", account.uid, account.gid, 0o750],
    ['everybody’s', 0, 0, 0o1777],
  ] as const)
    void test(`is left as it was, and refused: ${what}`, () => {
      const folder = at('given')
      mkdirSync(folder)
      chownSync(folder, owner, group)
      chmodSync(folder, mode)
      const before = modeOf(folder)
      const ran = serve(join(folder, 'helper.sock'))
      assert.equal(ran.status, 78, ran.stderr)
      const [, said = ''] = /^\d{4}-\d\d-\d\dT[\d:]{8}Z warn (accept-helper: .*\n)$/.exec(ran.stderr) ?? []
      assert.match(said, /mode 0750|does not belong to root|written by others/)
      const checked = serve(join(folder, 'helper.sock'), 'check')
      assert.deepEqual([checked.status, checked.stderr], [78, said])
      assert.equal(modeOf(folder), before)
      rmSync(folder, { recursive: true })
    })

  void test('is made, with those above it', () => {
    assert.equal(serve(at('new', 'deep', 'helper.sock'), 'check').status, 0, 'a check makes nothing')
    assert.throws(() => modeOf(at('new')), { code: 'ENOENT' })
    assert.equal(serve(at('new', 'deep', 'helper.sock')).status, 0)
    assert.equal(modeOf(at('new')), '0:0 755')
    assert.equal(modeOf(at('new', 'deep')), `0:${account.gid} 750`)
    assert.equal(serve(at('new', 'deep', 'helper.sock')).status, 0, 'and is good for the next start')
  })

  void test('below a folder that others can write is refused before it is made', () => {
    mkdirSync(at('open'))
    chmodSync(at('open'), 0o777)
    const checked = serve(at('open', 'deep', 'helper.sock'), 'check')
    assert.equal(checked.status, 78)
    assert.match(checked.stderr, /\/open\/deep: it or a folder above it can be written by others than root/)
  })

  void test('/run itself is left alone', () => {
    const before = modeOf('/run')
    const ran = serve('/run/acceptd-test.sock')
    assert.equal(ran.status, 78)
    assert.match(ran.stderr, /\/run: it is not a folder of root and group \d+ with mode 0750/)
    assert.equal(modeOf('/run'), before)
  })

  for (const [what, socket] of [
    ['no slash', 'helper.sock'],
    ['nothing', ''],
    ['a folder', '/tmp/x/'],
    ['101 bytes', `/${'x'.repeat(100)}`],
    ['a thousand bytes', `/${'x'.repeat(1000)}`],
  ] as const)
    void test(`-s with ${what} is a usage error`, () => {
      const ran = spawnSync(fixture.helperPath, ['serve', '-c', fixture.chainsPath, '-s', socket], { encoding: 'utf8' })
      assert.equal(ran.status, 100, `${ran.signal} ${ran.stderr}`)
      assert.match(ran.stderr, /not an absolute path/)
    })
})

void describe('ids of /etc/passwd and /etc/group', { skip: !isRoot }, () => {
  const [users, groups, chains] = ['users', 'groups', 'chains'].map((name) => at(`ids-${name}`))

  /** With files of ours in place of both, for this one process. */
  const check = (userLine: string, groupLine: string, lines: string) => {
    writeFileSync(users ?? '', `${userLine}\n`)
    writeFileSync(groups ?? '', `${groupLine}\n`)
    writeFileSync(chains ?? '', `${lines}\nchain b\n checkpassword builtin\n backend /bin/true\n`)
    const script = 'mount --bind "$1" /etc/passwd && mount --bind "$2" /etc/group && exec "$0" check -c "$3"'
    const args = ['-m', 'sh', '-c', script, fixture.helperPath, users ?? '', groups ?? '', chains ?? '']
    return spawnSync('unshare', args, { encoding: 'utf8' })
  }

  for (const [what, userLine, groupLine, lines, said] of [
    ['in range are taken', 'me:x:54321:54321:::', 'us:x:54321:', 'account me\ngroup us', undefined],
    [
      'as large as the kernel has them are taken',
      'me:x:4294967294:7:::',
      'us:x:4294967294:',
      'account me\ngroup us',
      undefined,
    ],
    ['of a user beyond 32 bits are no ids', 'me:x:4294967296:7:::', 'us:x:7:', 'account me', 'no such user'],
    [
      'of a user that mean none to the kernel are no ids',
      'me:x:4294967295:7:::',
      'us:x:7:',
      'account me',
      'no such user',
    ],
    ['of a user that are no number are no ids', 'me:x:7x:7:::', 'us:x:7:', 'account me', 'no such user'],
    ['of a user beyond 64 bits are no ids', 'me:x:18446744073709551617:7:::', 'us:x:7:', 'account me', 'no such user'],
    ['of a user’s group beyond 32 bits are no ids', 'me:x:7:4294967296:::', 'us:x:7:', 'account me', 'not a number'],
    [
      'of a group beyond 32 bits are no ids',
      'me:x:7:7:::',
      'us:x:4294967296:',
      'account me\ngroup us',
      'no such group',
    ],
    [
      'of a guest beyond 32 bits are no ids',
      'me:x:4294967297:7:::',
      'us:x:7:',
      'account 7\nchain a\n kind guest me us\n backend /bin/true',
      'no such user',
    ],
  ] as const)
    void test(what, () => {
      const { status, stderr } = check(userLine, groupLine, lines)
      assert.equal(status, said === undefined ? 0 : 78, stderr)
      if (said !== undefined) assert.ok(stderr.includes(said), stderr)
    })
})

void describe('what root runs', { skip: !isRoot }, () => {
  const path = at('program-chains')
  const check = (program: string) => {
    writeFileSync(path, `account ${account.uid}\nchain a\n checkpassword ${program}\n backend /bin/true\n`, {
      mode: 0o644,
    })
    return fixture.check(path)
  }
  const folder = at('programs')
  mkdirSync(join(folder, 'inner'), { recursive: true })
  const program = join(folder, 'inner', 'checkpassword')
  copyFileSync('/bin/true', program)

  const refused = (name: string, why: RegExp) => {
    const ran = check(name)
    assert.equal(ran.status, 78, ran.stderr)
    assert.match(ran.stderr, why)
  }

  void test('is accepted below folders of root', () => {
    assert.equal(check(program).status, 0)
    assert.equal(check(join(folder, 'inner', 'not-there-yet')).status, 0)
  })

  for (const [what, of, change, back] of [
    ['the file is for others to write', program, () => chmodSync(program, 0o757), () => chmodSync(program, 0o755)],
    ['the file is for its group to write', program, () => chmodSync(program, 0o775), () => chmodSync(program, 0o755)],
    ['the file is of a user', program, () => chownSync(program, user.uid, 0), () => chownSync(program, 0, 0)],
    [
      'the folder is for others to write',
      program,
      () => chmodSync(join(folder, 'inner'), 0o777),
      () => chmodSync(join(folder, 'inner'), 0o755),
    ],
    ['a folder further up is of a user', program, () => chownSync(folder, user.uid, 0), () => chownSync(folder, 0, 0)],
    [
      'what is not there could be put there',
      join(folder, 'inner', 'not-there-yet'),
      () => chmodSync(folder, 0o1777),
      () => chmodSync(folder, 0o755),
    ],
  ] as const)
    void test(`is refused: ${what}`, () => {
      change()
      refused(of, /:3: .*(does not belong to root|written by others than root)/)
      refused(`builtin ${of}`, /:3: .*(does not belong to root|written by others than root)/)
      back()
      assert.equal(check(of).status, 0)
    })

  void test('may be reached by symbolic links, if those are root’s all the way', () => {
    symlinkSync(program, join(folder, 'absolute'))
    symlinkSync('inner/../inner/checkpassword', join(folder, 'relative'))
    symlinkSync('inner', join(folder, 'through'))
    for (const name of ['absolute', 'relative', 'through/checkpassword', 'through/../absolute'])
      assert.equal(check(join(folder, name)).status, 0, name)
    const open = join(folder, 'open')
    mkdirSync(open)
    chmodSync(open, 0o1777)
    symlinkSync(program, join(open, 'hop'))
    symlinkSync(join(open, 'hop'), join(folder, 'over-there'))
    refused(join(folder, 'over-there'), /written by others than root/)
    symlinkSync('loop', join(folder, 'loop'))
    refused(join(folder, 'loop'), /symbolic links/)
  })
})
