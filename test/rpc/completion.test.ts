// Completion: what may follow, and what bash makes of it over the real daemon. test/system has the other shells.
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, test } from 'node:test'
import { candidatesIn, complete } from '../../src/rpc/completion.ts'
import { METHOD_MAP } from '../../src/rpc/methods.ts'
import { optionsOf } from '../../src/rpc/vocabulary.ts'
import { completer } from './completing.ts'
import { fixture } from './fixture.ts'

/** Words that may come, those of the daemon by the name of its method. */
function after(line: string): readonly string[] {
  const { lead, begun, words, source, files } = complete(line.split(' '))
  return [
    ...words.filter(([word]) => word.startsWith(begun)).map(([word]) => lead + word),
    ...(source ? [`${lead}<${source.method} ${source.word || source.rows}>`] : []),
    ...(files ? ['files'] : []),
  ]
}

void describe('what may follow', () => {
  const cases: readonly [line: string, words: readonly string[]][] = [
    ['sess', ['session']],
    ['t', ['tls', 'top']],
    ['session ', ['list', 'get', 'kill', 'trace']],
    ['session k', ['kill']],
    ['session kill ', ['<session.list id>']],
    ['session kill 1.', ['<session.list id>']],
    ['session kill --mo', ['--mode']],
    ['session kill --mode ', ['graceful', 'now']],
    ['session kill --mode=', ['--mode=graceful', '--mode=now']],
    ['session kill --mode=g', ['--mode=graceful']],
    ['session list --user ', ['<user.list user>']],
    ['session list --user=a', ['--user=<user.list user>']],
    ['session list --ip ', ['<session.list ip>']],
    ['session list --listener ', ['<listener.list name>']],
    ['session list --lane ', ['<lane.list lane>']],
    ['session list --generation ', ['<config.history generation>']],
    ['session list --fields user,sta', ['user,state', 'user,started']],
    ['session list --t', ['--tls', '--timeout']],
    ['session list --no', ['--no-tls']],
    ['session list --tls=', ['--tls=true', '--tls=false']],
    ['session list --limit ', []],
    ['--socket /x session ge', ['get']],
    ['-o json config rel', ['reload']],
    ['-o ', ['table', 'json', 'jsonl', 'tsv']],
    ['--output=j', ['--output=json', '--output=jsonl']],
    ['--socket ', ['files']],
    ['--wide session li', ['list']],
    ['session.list --us', ['--user']],
    ['lane recycle ', ['<lane.list lane>']],
    ['listener pause ', ['<listener.list name>']],
    ['listener pause submission --mode ', ['421', 'hold']],
    ['limit set ', ['<limit.list name>']],
    ['limit clear few ', ['<limit.list nearest.subject>']],
    ['penalty clear ', ['<penalty.list subject>']],
    ['op cancel ', ['<op.list id>']],
    ['backend probe ', ['<backend.list chain>']],
    ['log set ', ['<log.get levels>']],
    ['log set acceptd w', ['warn']],
    ['log errors --since ', ['10m', '1h', '1d']],
    ['config get ', ['<config.get name>']],
    ['config explain ', ['<config.get name>']],
    ['config check ', ['files']],
    ['config reload --only me,', ['me,<config.get name>']],
    ['config reload --if-sha256 ', ['<config.history sha256>']],
    ['config rollback ', ['<config.history generation>']],
    ['rules eval gre', ['greeting']],
    ['rules eval ehlo --text-file ', ['files']],
    ['user block ', ['<user.list user>']],
    ['user block alice ', []],
    ['auth test ', ['<user.list user>']],
    ['watch au', ['auth']],
    ['watch session au', ['auth']],
    ['watch --topics session,au', ['session,auth']],
    ['watch --user ', ['<user.list user>']],
    ['top --so', ['--socket', '--sort']],
    ['top --sort st', ['started']],
    ['call session.k', ['session.kill']],
    ['call session.kill us', ['user=']],
    ['call session.kill la', ['lane:=']],
    ['call session.kill user=a', ['user=<user.list user>']],
    ['call session.kill lane:=', ['lane:=<lane.list lane>']],
    ['call session.kill mode=n', ['mode=now']],
    ['call no.such x', []],
    ['completion ', ['bash', 'zsh', 'fish']],
    ['help conf', ['config']],
    ['help config di', ['diff']],
    ['nonsense ', []],
    ['nonsense more ', []],
  ]
  for (const [line, words] of cases)
    void it(`acceptctl ${line}|`, () => {
      assert.deepEqual(
        after(line)
          .filter((word) => word !== '--help' || words.includes(word))
          .toSorted(),
        words.toSorted(),
      )
    })

  void it('every command is followed by its options, with what each is for', () => {
    for (const [name, method] of METHOD_MAP) {
      const { words } = complete([...name.split('.'), '--'])
      for (const option of optionsOf(method))
        assert.ok(
          words.some(([word]) => word === `--${option.name}`),
          name,
        )
      assert.ok(words.every(([, hint]) => hint !== ''))
    }
  })

  void it('a socket among the words is the one that is asked', () => {
    assert.equal(complete(['--socket', '/a', 'session', 'get', '']).socket, '/a')
    assert.equal(complete(['session', 'get', '--socket=/b', '']).socket, '/b')
  })

  void it('an answer gives each word once, safe to print', () => {
    const { source } = complete(['session', 'list', '--ip', ''])
    assert.ok(source)
    const sessions = [{ ip: '192.0.2.1', user: 'a\u001bb' }, { ip: '192.0.2.1', user: 'c' }, { ip: 7 }, {}]
    assert.deepEqual(candidatesIn(source, { sessions }), [
      ['192.0.2.1', 'a\\x1bb'],
      ['7', ''],
    ])
    assert.deepEqual([candidatesIn(source, undefined), candidatesIn(source, { sessions: 3 })], [[], []])
  })
})

void test('bash completes what the daemon knows, and runs nothing of it', async (t) => {
  const { host, directory, control, idOf } = await fixture(t)
  const bin = join(directory, 'bin')
  mkdirSync(bin)
  writeFileSync(join(bin, 'a file'), '')
  const tab = completer('bash', { directory: bin, socket: control })
  const evil = 'x$(touch evil)`touch evil`;touch evil'
  await host.daemon.users.block(evil, undefined)
  assert.deepEqual(await tab('session', 'kill', '--mo'), ['--mode'])
  const ids = await Promise.all(['user1', 'alice'].map(idOf))
  assert.deepEqual((await tab('session', 'get', '1.')).toSorted(), ids.toSorted())
  assert.deepEqual((await tab('session', 'list', '--user', 'user')).toSorted(), ['user1', 'user2'])
  // As bash splits --user=al; the part it already has is not repeated.
  assert.deepEqual(await tab('session', 'list', '--user', '=', 'al'), ['alice'])
  assert.equal((await tab('session', 'list', '--user', '=')).length, 4)
  assert.deepEqual(await tab('user', 'unblock', 'x'), ['x\\$\\(touch\\ evil\\)\\`touch\\ evil\\`\\;touch\\ evil'])
  assert.deepEqual(await tab('session', 'list', '--ip', '127.0'), ['127.0.0.1'])
  assert.deepEqual(await tab('listener', 'pause', ''), ['submission'])
  assert.deepEqual(await tab('config', 'rollback', ''), ['1'])
  assert.deepEqual(await tab('call', 'session.kill', 'us'), ['user='])
  assert.deepEqual(await tab('call', 'session.kill', 'user', '=', 'al'), ['alice'])
  assert.deepEqual(await tab('call', 'session.kill', 'lane', ':=', ''), ['1', '2'])
  assert.deepEqual((await tab('config', 'check', 'a')).toSorted(), ['a file', 'acceptctl'])
  assert.deepEqual(await tab('--socket', '/no/such.sock', 'session', 'get', ''), [])
  assert.deepEqual(await tab('--socket', '/no/such.sock', 'session', 'g'), ['get'])
  assert.deepEqual(readdirSync(bin).toSorted(), ['a file', 'acceptctl'])
})
