// What acceptctl tells somebody who is new to it.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parseCommand } from '../../src/rpc/commandline.ts'
import { exampleOf, FIRST_STEPS, helpText, SPECIAL_EXAMPLES, shortHelp } from '../../src/rpc/help.ts'
import { METHOD_MAP } from '../../src/rpc/methods.ts'
import { nouns, SPECIAL } from '../../src/rpc/vocabulary.ts'

const program = fileURLToPath(new URL('../../programs/acceptctl', import.meta.url))

/** The words of a line as a shell reads them, without acceptctl and without what is read from a file. */
const shellWords = (line: string): readonly string[] =>
  [...line.replace(/ < \S+$/, '').matchAll(/(?:'((?:[^']|'\\'')*)'|([^\s']+))/g)]
    .map(([, inside, plain]) => inside?.replaceAll("'\\''", "'") ?? plain ?? '')
    .slice(1)

const printed = (...words: string[]): string =>
  parseCommand(words).match(
    (command) => (command.do === 'print' ? command.text : command.do),
    ({ problem }) => problem,
  )

void describe('help', () => {
  void it('of every command has an example, which means what the row of the method says', () => {
    for (const [name, method] of METHOD_MAP) {
      const line = exampleOf(name, method)
      assert.ok(printed(...name.split('.'), '--help').includes(`\nExample:\n  ${line}\n`), name)
      const command = parseCommand(shellWords(line))
      assert.ok(
        command.isOk() && command.value.do === 'request',
        `${line}: ${command.isErr() ? command.error.problem : ''}`,
      )
      const { params, files } = command.value.request
      const { secret, file } = method.cli
      const wanted = Object.fromEntries(
        Object.entries(method.example.params).filter(([param]) => param !== secret && param !== file),
      )
      assert.deepEqual(params, wanted, line)
      assert.equal(files.length > 0, file !== undefined && file in method.example.params, line)
    }
  })

  void it('of the other commands and the first steps has examples that are understood', () => {
    assert.deepEqual(Object.keys(SPECIAL_EXAMPLES), Object.keys(SPECIAL))
    for (const line of [...Object.values(SPECIAL_EXAMPLES), ...FIRST_STEPS])
      assert.ok(parseCommand(shellWords(line)).isOk(), line)
    for (const [name, line] of Object.entries(SPECIAL_EXAMPLES))
      assert.ok(printed(name, '--help').includes(line) || name === 'help')
  })

  void it('fits a page of 80 columns', () => {
    const pages = [
      helpText(),
      shortHelp(),
      ...[...nouns().keys()].map((noun) => printed(noun, '--help')),
      ...Object.keys(SPECIAL).map((name) => printed('help', name)),
      ...[...METHOD_MAP.keys()].map((name) => printed('help', ...name.split('.'))),
    ]
    for (const page of pages)
      for (const line of page.split('\n'))
        assert.ok(line.length <= 80 || /^(usage: | {2}(acceptctl|--))/.test(line), line)
  })

  void it('without a command says how to begin, on standard error, and exits 2', () => {
    const ran = spawnSync(process.execPath, [program], { encoding: 'utf8' })
    assert.deepEqual([ran.status, ran.stdout], [2, ''])
    assert.match(
      ran.stderr,
      /^acceptctl: no command given \(acceptctl --help lists them\)\nusage: acceptctl .*\ncommands: rpc server /,
    )
    assert.match(ran.stderr, /to begin with: acceptctl server health; /)
    const json = spawnSync(process.execPath, [program, '-o', 'json'], { encoding: 'utf8' })
    assert.deepEqual([json.status, json.stderr, JSON.parse(json.stdout).error.data.reason], [2, '', 'usage'])
  })

  for (const [words, said] of [
    ['help config', /^ {2}acceptctl config get \[NAME\]\n {8}Shows the knobs[\s\S]*config VERB --help says more/],
    ['help config.get', /^Shows the knobs/],
    ['help confg', /^unknown command confg; did you mean config\?$/],
    ['help config gett', /^unknown command config gett; did you mean get\?$/],
    ['help toString', /^unknown command toString$/],
    ['confg get', /^unknown command confg; did you mean config\?$/],
    ['config.gett', /^unknown command config gett; did you mean get\?$/],
    ['tpo', /^unknown command tpo; did you mean top\?$/],
    ['config', /^config what\? get, status/],
    ['--scoket /x server ping', /^unknown option --scoket; did you mean --socket\?$/],
    ['server ping --soket=/x', /^unknown option --soket; did you mean --socket\?$/],
    ['session list --state reday', /^--state is one of .*; did you mean ready\?$/],
    ['watch sesion', /^topics holds .*; not sesion; did you mean session\?$/],
    ['-x', /^unknown option -x/],
  ] as const)
    void it(`${words}: ${said.source}`, () => {
      assert.match(printed(...words.split(' ')), said)
    })
})
