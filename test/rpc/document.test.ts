// Everything that comes from the method table: the OpenRPC document, docs/rpc.md, the examples, and what else names methods and metrics.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Ajv } from 'ajv'
import { pythonClient } from '../../scripts/clients/python.ts'
import { typescriptTable } from '../../scripts/clients/typescript.ts'
import { METRICS } from '../../src/contract/metrics.ts'
import { componentOf, titleWord } from '../../src/rpc/components.ts'
import { rpcDocument } from '../../src/rpc/document.ts'
import { METHOD_MAP } from '../../src/rpc/methods.ts'
import { describeMethods, openrpcDocument } from '../../src/rpc/openrpc.ts'
import { fixture } from './fixture.ts'
import { type Json, wire } from './wire.ts'

const top = fileURLToPath(new URL('../../../', import.meta.url))
const DRAFT_7 = 'http://json-schema.org/draft-07/schema#'

function ajv(): Ajv {
  return new Ajv({ strict: false, validateFormats: false, validateSchema: false })
}

function discovered(): Json {
  describeMethods(METHOD_MAP)
  return JSON.parse(JSON.stringify(openrpcDocument('0.1.0')))
}

void test('rpc.discover is a valid OpenRPC document', () => {
  // The meta-schema refers to JSON Schema by an address that needs the network; draft 7, which it means, comes with ajv.
  const { openrpcDocument: metaSchema }: Json = createRequire(import.meta.url)('@open-rpc/meta-schema')
  const text = JSON.stringify(metaSchema)
    .replaceAll('https://meta.json-schema.tools/#/definitions/JSONSchemaObject', DRAFT_7)
    .replaceAll('"https://meta.json-schema.tools"', JSON.stringify(DRAFT_7))
  const { $schema: _schema, ...meta }: Json = JSON.parse(text)
  const valid = ajv().compile(meta)
  const document = discovered()
  assert.ok(valid(document), JSON.stringify(valid.errors))
  assert.ok(!valid({ ...discovered(), methods: [{ name: 7 }] }), 'the check sees what is wrong')
})

const resolved = (schema: Json, document: Json): Json =>
  schema.$ref === undefined ? schema : document.components.schemas[componentOf(schema.$ref) ?? '']

/** A schema of the document with the components beside it, as its references want them. */
const compiled = (schema: Json, { components }: Json) =>
  ajv().compile(schema.$ref === undefined ? { ...schema, components } : { allOf: [schema], components })

/** Every schema in there, with the path to it. */
function schemasIn(value: Json, path = ''): readonly { readonly path: string; readonly schema: Json }[] {
  if (typeof value !== 'object' || value === null) return []
  const own = path !== '' && (value.$ref ?? value.type ?? value.anyOf ?? value.oneOf ?? value.const) !== undefined
  const inside = Object.entries<Json>(value).flatMap(([key, member]) => {
    if (['default', 'enum', 'required'].includes(key)) return []
    if (key === 'properties')
      return Object.entries<Json>(member).flatMap(([name, of]) => schemasIn(of, `${path}.${name}`))
    return schemasIn(member, `${path}/${key}`)
  })
  return own ? [{ path, schema: value }, ...inside] : inside
}

void test('every schema has a title, each title one schema, and every reference resolves', () => {
  const { methods, components, ...document } = discovered()
  const all = [
    ...methods.flatMap(({ name, params, result }: Json) =>
      [...params, result].flatMap((one: Json) => schemasIn(one.schema, `${name} ${one.name}`)),
    ),
    ...document['x-notifications'].flatMap(({ topic, event, data }: Json) => schemasIn(data, `${topic} ${event}`)),
    ...Object.entries(components.schemas).flatMap(([name, schema]) => schemasIn(schema, name)),
  ]
  assert.ok(all.length > 500)
  const titles = new Map<string, string>()
  for (const { path, schema } of all) {
    if (schema.$ref !== undefined) {
      assert.ok(componentOf(schema.$ref) !== undefined && resolved(schema, { components }), `${path}: ${schema.$ref}`)
      continue
    }
    assert.match(schema.title ?? '', /^[A-Z][A-Za-z0-9]*$/, path)
    assert.equal(titles.get(schema.title) ?? path, path, schema.title)
    titles.set(schema.title, path)
  }
  for (const [name, { title }] of Object.entries<Json>(components.schemas)) assert.equal(title, name)
  // A generator also makes a type of each method.
  assert.deepEqual(
    methods.map(({ name }: Json) => titleWord(name)).filter((name: string) => titles.has(name)),
    [],
  )
})

void test('names without dots map back to the methods', () => {
  for (const { name, 'x-method-name': word } of discovered().methods) {
    assert.match(word, /^[a-z]+_[a-z]+$/)
    assert.equal(word.replace('_', '.'), name)
  }
})

void test('every method is discovered, and nothing else', () => {
  const names: string[] = discovered().methods.map(({ name }: Json) => name)
  assert.deepEqual(names, [...METHOD_MAP.keys()])
})

void test('every parameter and every method says what it is, in a sentence', () => {
  for (const { name, summary, params } of discovered().methods) {
    assert.match(summary, /^[A-Z].*\.$/, name)
    for (const param of params) assert.match(param.description ?? '', /^.+\.$/, `${name} ${param.name}`)
  }
})

void test('what changes something takes dryRun and is for control.sock', () => {
  for (const [name, { changes, level, params }] of METHOD_MAP) {
    assert.equal('dryRun' in params.shape, changes, name)
    if (changes) assert.equal(level, 'control', name)
  }
})

void test("every method's example is answered as its schema says", async (t) => {
  const { host, control, idOf } = await fixture(t)
  // What the examples name.
  for (const greeting of ['one.example', 'two.example']) {
    host.write('smtpgreeting', `${greeting}\n`)
    await host.daemon.config.change({ from: 'disk', apply: 'new-sessions', by: 'signal', dryRun: false })
  }
  await host.daemon.users.block('mallory', undefined)
  const c = wire(control)
  const document = discovered()
  const schemas = new Map<string, Json>(document.methods.map((method: Json) => [method.name, method]))
  for (const [name, method] of METHOD_MAP) {
    const params: Json = { ...method.example.params }
    // Ids that only the running daemon knows.
    if (name === 'event.unsubscribe') params.subscription = (await c.call('event.subscribe')).result.subscription
    if (name === 'op.cancel') params.id = (await c.call('op.list')).result.operations.at(-1).id
    if (name === 'session.get') params.id = await idOf('alice')
    const { result, error } = await c.call(name, params)
    assert.equal(error, undefined, `${name}: ${error?.message}`)
    for (const [what, value] of [
      ['the answer', result],
      ['the example', method.example.result],
    ]) {
      assert.deepEqual(method.result.safeParse(value).error?.issues, undefined, `${name}: ${what}`)
      const valid = compiled(schemas.get(name).result.schema, document)
      assert.ok(valid(value), `${name}: ${what}: ${JSON.stringify(valid.errors)}`)
    }
    if (name !== 'rpc.discover')
      for (const member of Object.keys(result))
        assert.ok(
          member in (resolved(schemas.get(name).result.schema, document).properties ?? {}),
          `${name}: ${member} is in the schema`,
        )
  }
  c.end()
})

void test('docs/rpc.md and the clients are what the table says', () => {
  const document = openrpcDocument('0.1.0')
  const files = [
    ['docs/rpc.md', rpcDocument()],
    [
      'docs/examples/acceptd_client.py',
      pythonClient(document, readFileSync(join(top, 'scripts/clients/core.py'), 'utf8')),
    ],
    ...Object.entries(typescriptTable(document)).map(([name, text]) => [`src/client/table/${name}`, text] as const),
  ] as const
  for (const [name, text] of files) {
    const path = join(top, name)
    if (process.env.UPDATE_DOCS) writeFileSync(path, text)
    assert.equal(readFileSync(path, 'utf8'), text, `${name} is stale: UPDATE_DOCS=1 npm test -- rpc/document`)
  }
})

void test('the examples name methods that exist', () => {
  const directory = join(top, 'docs/examples')
  for (const { name: file } of readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isFile())) {
    const text = readFileSync(join(directory, file), 'utf8')
    for (const [, name = ''] of text.matchAll(/"?method"?: ?"([a-z.]+)"/g))
      assert.ok(METHOD_MAP.has(name), `${file}: ${name}`)
  }
})

void test('the dashboard loads as it is and asks only for metrics that exist', () => {
  const dashboard: Json = JSON.parse(readFileSync(join(top, 'docs/grafana-dashboard.json'), 'utf8'))
  assert.ok(dashboard.title && dashboard.schemaVersion >= 36 && dashboard.uid)
  assert.equal(dashboard.id, undefined, 'an id belongs to one installation')
  const [source] = dashboard.templating.list
  assert.deepEqual([source.name, source.type, source.query], ['datasource', 'datasource', 'prometheus'])
  const ids = new Set<number>()
  const taken = new Set<string>()
  for (const { id, title, type, gridPos, datasource, targets } of dashboard.panels) {
    assert.ok(title && ['stat', 'timeseries'].includes(type))
    assert.ok(!ids.has(id))
    ids.add(id)
    assert.match(datasource.uid, /^\$\{datasource\}$/)
    assert.ok(gridPos.x + gridPos.w <= 24)
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        assert.ok(!taken.has(`${x} ${y}`), `${title} overlaps`)
        taken.add(`${x} ${y}`)
      }
    for (const { expr } of targets) {
      const names: string[] = expr.match(/acceptd_[a-z_]+/g) ?? []
      assert.ok(names.length > 0)
      for (const name of names) {
        const family = name in METRICS ? name : name.replace(/_(bucket|sum|count)$/, '')
        assert.ok(family in METRICS, `${title}: ${name}`)
        if (family !== name) assert.equal(METRICS[family as keyof typeof METRICS].type, 'histogram', name)
      }
      for (const [, by = ''] of expr.matchAll(/by \(([^)]*)\)/g))
        for (const label of by.split(', '))
          assert.ok(
            label === 'le' || names.some((name) => labelsOf(name.replace(/_bucket$/, '')).includes(label)),
            `${title}: ${label}`,
          )
    }
  }
})

function labelsOf(name: string): readonly string[] {
  const row = Object.entries(METRICS).find(([family]) => family === name)?.[1]
  return row?.labels ?? []
}
