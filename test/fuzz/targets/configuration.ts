// What an operator has written, and what an earlier acceptd has kept.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import fc from 'fast-check'
import { accessFor } from '../../../src/config/access.ts'
import { parseChains } from '../../../src/config/chains.ts'
import { compileConfig } from '../../../src/config/config.ts'
import { explain } from '../../../src/config/explain.ts'
import { type ControlTexts, KNOBS, knobOf } from '../../../src/config/knobs.ts'
import { diskOf, plan } from '../../../src/config/plan.ts'
import { sha256Of } from '../../../src/edge/control-files.ts'
import { bytesOf } from '../../../src/protocol/bytes.ts'
import { compileGlob, literalStart } from '../../../src/rules/glob.ts'
import { parseRules } from '../../../src/rules/parse.ts'
import { rewriteReply, rewriteRequest, rulesFor } from '../../../src/rules/rewrite.ts'
import { contentOf, recall } from '../../../src/runtime/memory.ts'
import { controlTexts } from '../../support/control.ts'
import { parseTranscripts } from '../../support/transcript.ts'
import { modelMatches, modelReply, modelRequest, modelRules } from '../model/fixsmtpio.ts'
import { octets, opened, pure } from '../target.ts'

// ---- control files

const [plain] = parseTranscripts('# settings', '')
assert.ok(plain !== undefined)
const GOOD = controlTexts(plain.settings)

const WORDS = [
  ...'\n|\r\n| |\t|#|:|,|=|0|1|600|-1|99999999999|65536|\0|\xff|\xef\xbb\xbf|*|*@a.b|me|ann|bob@a.b|info|rpc=debug|json'.split(
    '|',
  ),
  ...'127.0.0.1:25|[::1]:587|0.0.0.0:0|192.0.2.|192.0.2.0/24|=.example|:allow|:deny|,A="b"|:allow,RELAYCLIENT=""'.split(
    '|',
  ),
  ...'smtp|pop3|submission|open|certified|tls=off|tls=require|tls=implicit|tries=3|guest=open|name=a|proxy=10.0.0.0/8'.split(
    '|',
  ),
  ...'chain a|checkpassword builtin|backend /bin/cat|kind guest 7 7|kind auth|set A=b|warm 60|credentials 600|account 7'.split(
    '|',
  ),
  ...'user|address|network|listener|all|messages|logins|failed-logins|delay=15|500/hour|30/hour ban=1800|off|user=ann'.split(
    '|',
  ),
  ...'AUTHUP_USER:ehlo::250?AUTH*::|:help::*::&fixsmtpio_fixup|:x::*:256:|a,b /cert /key|a.b /c /k|/etc/x|serve|run|refuse'.split(
    '|',
  ),
  ...'SIZE 1000|CHUNKING|8BITMIME|SASL PLAIN|1.3|ECDHE-RSA-AES128-GCM-SHA256|access-one|CN:a|DNS:a.b|@backend'.split(
    '|',
  ),
]
const NAMES: readonly string[] = [...KNOBS.map(({ name }) => name), 'access-one', 'access-', 'nosuch', '__proto__']
const texts = fc.array(fc.tuple(fc.constantFrom(...NAMES), fc.boolean(), octets(WORDS, 16)), {
  minLength: 1,
  maxLength: 4,
})

const textsFrom = (changes: readonly (readonly [string, boolean, string])[]): ControlTexts => {
  const made: Record<string, string> = { ...GOOD }
  for (const [name, after, text] of changes)
    Object.defineProperty(made, name, {
      value: (after ? (GOOD[name] ?? '') : '') + text,
      enumerable: true,
      configurable: true,
      writable: true,
    })
  return made
}

const control = pure(
  'control',
  'a control directory compiles, or each problem has its file, line and remedy; every line can be explained; CR LF is LF',
  texts,
  (changes) => {
    const files = textsFrom(changes)
    const compiled = compileConfig(files)
    if (compiled.isErr()) {
      assert.ok(compiled.error.length > 0)
      for (const { file, line, column, problem, hint } of compiled.error) {
        const name = file.replace(/^control\//, '')
        assert.ok(NAMES.includes(name), file)
        const lines = (files[name] ?? '').split('\n')
        assert.ok(line >= 1 && line <= lines.length, `${file}:${line}: ${problem}`)
        assert.ok(column >= 1 && column <= (lines[line - 1]?.length ?? 0) + 1, `${file}:${line}:${column}: ${problem}`)
        assert.ok(problem !== '' && hint !== '')
      }
    } else {
      const config = compiled.value
      for (const address of ['192.0.2.1', '::1']) accessFor(config.access, address, 'a.example')
      for (const { name } of KNOBS) {
        if (files[name] === GOOD[name]) continue
        const count = (files[name] ?? '').split('\n').length
        for (let line = 0; line <= count; line += 1) {
          const meaning = explain({ texts: files, config }, name, line === 0 ? undefined : line)
          if (meaning.isOk()) assert.ok(meaning.value.does.length > 0, `${name}:${line}`)
        }
      }
    }
    const { verdict } = plan(undefined, diskOf(files))
    // A plan reads no file that does not belong to control/.
    if (compiled.isErr() && Object.keys(files).every((name) => knobOf(name) !== undefined))
      assert.equal(verdict.do, 'refuse')
    if (Object.values(files).some((text) => text.includes('\r'))) return
    const dos = Object.fromEntries(Object.entries(files).map(([name, text]) => [name, text.replaceAll('\n', '\r\n')]))
    const again = compileConfig(dos)
    assert.equal(
      again.isOk(),
      compiled.isOk(),
      JSON.stringify(again.isErr() ? again.error : compiled.isErr() && compiled.error),
    )
  },
)

// ---- control/chains: two readers

const CHAIN_WORDS = [
  ...'account 7\n|group 8\n|socket /run/x/y\n|socket /\n|min-uid 1\n|max-processes 0\n|login-timeout 30\n|attempts-per-second 1\n'.split(
    '|',
  ),
  ...'chain a\n|chain b\n|chain\n|chain a b\n|kind auth\n|kind guest 7 8\n|kind probe 7 0\n|kind certificate\n|kind\n'.split(
    '|',
  ),
  ...'checkpassword builtin\n|checkpassword builtin /f\n|checkpassword /c x\n|checkpassword\n|backend /b\n|backend b\n'.split(
    '|',
  ),
  ...'set A=b\n|set A=\n|set 1=\n|set A\n|warm 60\n|warm 61\n|verified 600\n|credentials 512\n|credentials 511\n'.split(
    '|',
  ),
  ...'mechanisms PLAIN\n|mechanisms\n|#|# x\n| |\t|\r|\n|\0|\xff|chain a\ncheckpassword builtin\nbackend /b\n|4294967294|4294967295'.split(
    '|',
  ),
]

const alike = opened(
  'chains-alike',
  'the daemon and the helper take and refuse the same chains files, at the same line',
  octets(CHAIN_WORDS, 14),
  async ({ after }) => {
    const folder = mkdtempSync(join(tmpdir(), 'acceptd-chains-'))
    after(() => rmSync(folder, { recursive: true }))
    const program = join(folder, 'chains-lines')
    const flags = ['-std=gnu11', '-O1', '-g', '-fsanitize=address,undefined', '-fno-sanitize-recover=all']
    const built = spawnSync('cc', [...flags, '-o', program, 'test/fuzz/chains-lines.c'], { encoding: 'utf8' })
    assert.equal(built.status, 0, built.stderr)
    const helper = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] })
    after(() => helper.kill())
    const lines = createInterface(helper.stdout)
    return async (text) => {
      const bytes = bytesOf(text)
      const head = Buffer.alloc(4)
      head.writeUInt32BE(bytes.length)
      const answered = once(lines, 'line')
      helper.stdin.write(Buffer.concat([head, bytes]))
      const [line] = (await answered) as [string]
      const ours = parseChains(text, 'control/chains')
      assert.equal(ours.isErr() ? ours.error[0]?.line : 0, Number(line), JSON.stringify(ours.isErr() && ours.error[0]))
    }
  },
)

// ---- control/fixsmtpio

const GLOB = [
  '*',
  '**',
  '?',
  'a',
  'b',
  '2',
  '5',
  '0',
  ' ',
  '[ab]',
  '[!a]',
  '[^b2]',
  '[0-9]',
  '[]a]',
  '\\*',
  '\\a',
  '\r',
  '\n',
  '-',
  '.',
]
const TEXT = ['a', 'b', '2', '5', '0', ' ', '*', ']', '\r\n', '-', '.', '\xff']
const glob = pure(
  'glob',
  'a glob matches what trying every way matches, and only what begins as it says',
  fc.tuple(
    fc.array(fc.constantFrom(...GLOB), { maxLength: 9 }).map((parts) => parts.join('')),
    fc.array(fc.constantFrom(...TEXT), { maxLength: 12 }).map((parts) => parts.join('')),
  ),
  ([pattern, text]) => {
    const matches = compileGlob(pattern)(text)
    assert.equal(matches, modelMatches(pattern, text))
    if (matches) assert.ok(text.startsWith(literalStart(pattern, 3)))
  },
)

const field = (pieces: readonly string[]) =>
  fc.array(fc.constantFrom(...pieces), { maxLength: 3 }).map((parts) => parts.join(''))
const RULE = fc
  .tuple(
    fc.constantFrom('', 'A', 'B'),
    fc.constantFrom('mail', 'MAIL', 'rcpt', 'in_data', 'clienteof', 'x', ''),
    field(['NOOP ', 'x', '']),
    field(['*', '2', '250', '?', '[45]', 'ok', '\r']),
    fc.constantFrom('', '', '', '0', '14', '255', '256', '1x', '-1'),
    fc.constantFrom(
      '',
      '&fixsmtpio_noop',
      '&fixsmtpio_fixup',
      '&fixsmtpio_other',
      '550 no',
      '25',
      '250',
      '250-a:b',
      '2',
    ),
  )
  .map((fields) => fields.join(':'))
const FILE = fc
  .array(fc.oneof({ weight: 8, arbitrary: RULE }, fc.constantFrom('', '# x', ' # x', ':mail', '\0', ':mail::*:::')), {
    maxLength: 6,
  })
  .chain((lines) => fc.constantFrom('', ' ', '\t ').map((end) => lines.map((line) => `${line}${end}\n`).join('')))
const REPLY = octets(['250 ', '250-', '550 ', 'ok', '\r\n', '\n', '354 go\r\n', '250\r\n', '2'], 8).map((text) =>
  text.replaceAll('\0', ''),
)

/** As a backend ends one; what else comes never gets this far. */
const WHOLE_REPLY = /^(\d{3}[^ \r\n][^\n]*\n)*\d{3}( [^\n]*)?\r?\n$/

const rules = pure(
  'rules',
  'rules are taken or refused, and requests and replies rewritten, as a plain model of their page does it',
  fc.record({
    file: FILE,
    event: fc.constantFrom('mail', 'rcpt', 'in_data', 'clienteof', 'x', 'MAIL'),
    set: fc.constantFrom([], ['A'], ['A', 'B']),
    line: octets(['MAIL FROM:<>', '\r\n', ' '], 4),
    reply: REPLY,
  }),
  ({ file, event, set, line, reply }) => {
    const parsed = parseRules(file, 'control/fixsmtpio')
    const model = modelRules(file)
    assert.equal(parsed.isErr() ? parsed.error[0]?.line : 0, typeof model === 'number' ? model : 0)
    if (parsed.isErr() || typeof model === 'number') return
    const ours = rulesFor(parsed.value, (name) => set.some((one) => one === name))
    assert.equal(rewriteRequest(ours, event, line), modelRequest(model, event, set, line))
    const who = { greeting: 'mx.example', tls: 'none', classic: true, enhanced: false } as const
    const got = rewriteReply(ours, event, reply, who)
    const wanted = modelReply(model, event, set, reply, (_event, text) => text)
    assert.equal(got.exitcode, wanted.exit)
    if (WHOLE_REPLY.test(reply)) assert.equal(got.reply, wanted.reply)
  },
)

// ---- what an earlier runtime has kept

const odd = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom(
    '__proto__',
    'constructor',
    null,
    -1,
    1e21,
    0.5,
    '',
    '\ud800',
    'rpc',
    'info',
    '421',
    'hold',
    'acceptd',
    'signal',
  ),
)
const or = (good: fc.Arbitrary<unknown>) => fc.oneof({ weight: 12, arbitrary: good }, odd)
const number = or(fc.nat())
const name = or(fc.constantFrom('ann', 'smtp:587', 'a\xff', '__proto__'))
const SHA = sha256Of(bytesOf('x'))
const kept = fc.record(
  {
    version: or(fc.constant(1)),
    generations: or(
      fc.array(
        fc.record(
          {
            generation: number,
            sha256: or(fc.constant(SHA)),
            published: number,
            by: or(fc.constantFrom('start', 'signal', 'file', 'control')),
            rules: number,
            reason: name,
            files: or(
              fc.dictionary(fc.constantFrom('me', 'chains', '__proto__'), or(fc.constant(SHA)), {
                noNullPrototype: true,
              }),
            ),
          },
          { requiredKeys: ['generation', 'sha256', 'published', 'by', 'rules', 'files'] },
        ),
        { maxLength: 3 },
      ),
    ),
    blocks: or(
      fc.array(fc.record({ user: name, since: number, reason: name }, { requiredKeys: ['user', 'since'] }), {
        maxLength: 3,
      }),
    ),
    pauses: or(fc.array(fc.record({ listener: name, mode: or(fc.constantFrom('421', 'hold')) }), { maxLength: 3 })),
    level: or(fc.constant('info')),
    levels: or(
      fc.array(fc.tuple(or(fc.constantFrom('acceptd', 'rpc', 'lane')), or(fc.constantFrom('info', 'debug'))), {
        maxLength: 3,
      }),
    ),
    draining: or(fc.boolean()),
    overrides: or(
      fc.array(
        fc.record(
          {
            id: name,
            method: name,
            subject: name,
            reason: name,
            since: number,
            ends: number,
            before: name,
            value: name,
          },
          { requiredKeys: ['id', 'method', 'subject', 'since', 'ends'] },
        ),
        { maxLength: 2 },
      ),
    ),
    deaths: or(fc.array(fc.tuple(number, number), { maxLength: 3 })),
  },
  { requiredKeys: ['version', 'generations', 'blocks', 'pauses', 'draining', 'overrides', 'deaths'] },
)

const state = pure(
  'state',
  'a state file is taken, or put aside with a sentence; what was taken is kept as it was',
  fc.oneof(
    { weight: 8, arbitrary: kept.map((value) => JSON.stringify(value)) },
    octets(['{', '}', '[', ']', '"version":1', ',', '""', '\0'], 10),
  ),
  (text) => {
    let aside = 0
    const left = (said: string) => ({
      directory: '/state',
      read: () => said,
      file: (sha256: string) => (sha256 === SHA ? 'x' : undefined),
      putAside: () => `/state/aside.${++aside}`,
    })
    const first = recall(left(text))
    assert.equal(aside, first.troubles.some((trouble) => trouble.includes('not taken')) ? 1 : 0)
    const again = recall(left(contentOf(first.memory).text))
    assert.deepEqual(again, { memory: first.memory, troubles: [] })
  },
)

export const configurationTargets = [control, alike, glob, rules, state]
