// The types of acceptd/client, src/client/table, from the OpenRPC document. test/rpc/document.test.ts compares and writes them.
import { FAILURES } from '../../src/contract/failure.ts'
import { componentOf, type JsonSchema, titleWord } from '../../src/rpc/components.ts'
import type { OpenrpcDocument, OpenrpcMethod, OpenrpcNotification } from '../../src/rpc/openrpc.ts'
import { isRecord } from '../../src/rpc/show.ts'

const HEAD = '// Generated from the method table; do not edit: UPDATE_DOCS=1 npm test -- rpc/document\n'

const comment = (text: unknown, indent = ''): string =>
  typeof text === 'string' && text !== '' ? `${indent}/** ${text.replaceAll('*/', '*\\/')} */\n` : ''

const key = (name: string): string => (/^[A-Za-z_$][\w$]*$/.test(name) ? name : `'${name}'`)
const literal = (value: unknown): string => (typeof value === 'string' ? `'${value}'` : JSON.stringify(value))
const listed = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])

/** `used` hears the component that is named. */
type Used = (component: string) => void

function typeOf(schema: unknown, used: Used, indent: string): string {
  if (!isRecord(schema)) return 'unknown'
  const component = componentOf(schema.$ref)
  if (component !== undefined) {
    used(component)
    return component
  }
  const several = schema.anyOf ?? schema.oneOf
  if (Array.isArray(several)) return several.map((one) => typeOf(one, used, indent)).join(' | ')
  if (Array.isArray(schema.enum)) return schema.enum.map(literal).join(' | ')
  if (schema.const !== undefined) return literal(schema.const)
  switch (schema.type) {
    case 'string':
    case 'boolean':
      return schema.type
    case 'integer':
    case 'number':
      return 'number'
    case 'array': {
      const item = typeOf(schema.items, used, indent)
      return `readonly ${item.includes(' | ') ? `(${item})` : item}[]`
    }
    case 'object':
      return objectOf(schema, used, indent)
    default:
      return 'unknown'
  }
}

function objectOf(schema: JsonSchema, used: Used, indent: string): string {
  const { properties, required, additionalProperties } = schema
  const members = Object.entries(isRecord(properties) ? properties : {}).map(([name, of]) =>
    member(name, listed(required).includes(name), of, used, `${indent}  `),
  )
  if (isRecord(additionalProperties))
    members.push(`${indent}  readonly [name: string]: ${typeOf(additionalProperties, used, `${indent}  `)}\n`)
  return members.length === 0 ? '{}' : `{\n${members.join('')}${indent}}`
}

const member = (name: string, required: boolean, schema: unknown, used: Used, indent: string): string =>
  `${comment(isRecord(schema) ? schema.description : '', indent)}${indent}readonly ${key(name)}${required ? '' : '?'}: ${typeOf(schema, used, indent)}${required ? '' : ' | undefined'}\n`

const declared = (name: string, schema: unknown, used: Used): string => {
  const type = typeOf(schema, used, '')
  return type.startsWith('{') ? `export interface ${name} ${type}\n` : `export type ${name} = ${type}\n`
}

const imported = (names: ReadonlySet<string>, from: string): string =>
  names.size === 0 ? '' : `import type { ${[...names].toSorted().join(', ')} } from './${from}.ts'\n`

const titleOf = (name: string, what: 'params' | 'result'): string => titleWord(`${name} ${what}`)

function paramsOf({ params }: OpenrpcMethod, used: Used): string {
  const members = params.map(({ name, description, required, schema }) => {
    const { default: fallback } = schema
    const notes = [description, fallback === undefined ? undefined : `Default ${JSON.stringify(fallback)}.`]
    return member(
      name,
      required,
      { ...schema, description: notes.filter((note) => note !== undefined).join(' ') },
      used,
      '  ',
    )
  })
  return members.length === 0 ? '{}' : `{\n${members.join('')}}`
}

function eventOf({ topic, event, summary, session, controlOnly = [], data }: OpenrpcNotification, used: Used): string {
  const { properties = {}, required } = data
  const names = isRecord(properties) ? Object.keys(properties) : []
  const open = listed(required).filter((name) => typeof name === 'string' && !controlOnly.includes(name))
  const inside = { ...data, required: open, additionalProperties: false }
  return [
    comment(summary, '  '),
    `  | (Told<${literal(topic)}, ${literal(event)}> & {\n`,
    session ? '      readonly session: SessionIdentity\n' : '',
    names.length > 0 ? `      readonly data: ${typeOf(inside, used, '      ')}\n` : '',
    '    })\n',
  ].join('')
}

/** What an event of any kind has. */
const TOLD = `/** What a notification has, whatever it tells. */
export interface Told<Topic extends string, Name extends string> {
  readonly subscription: string
  /** Grows from event to event, over a restart of the runtime too. */
  readonly seq: number
  readonly at: string
  readonly topic: Topic
  readonly name: Name
  /** So many were lost before this one, since the reader was too slow or acceptd no longer has them. */
  readonly dropped?: number
}
`

/** `session` of `session.list`. */
const nounOf = (name: string): string => name.split('.')[0] ?? name

/** The files of src/client/table by their names: words and records that methods share, a file for each noun, events, and all methods. */
export function typescriptTable(document: OpenrpcDocument): Readonly<Record<string, string>> {
  const { methods, components } = document
  const shared = Object.entries(components.schemas)
  const isObject = (schema: JsonSchema): boolean => schema.type === 'object'
  const words = new Set(shared.filter(([, schema]) => !isObject(schema)).map(([name]) => name))
  const file = (parts: (used: Used) => readonly string[]): string => {
    const names = new Set<string>()
    const text = parts((name) => void names.add(name)).join('\n')
    const from = (wanted: boolean) => new Set([...names].filter((name) => words.has(name) === wanted))
    return `${HEAD}${imported(from(false), 'records')}${imported(from(true), 'words')}\n${text}`
  }
  const nouns = [...new Set(methods.map(({ name }) => nounOf(name)))]
  const files = {
    'words.ts': file(() => shared.filter(([name]) => words.has(name)).map(([name, of]) => declared(name, of, ignored))),
    'records.ts': file((used) => {
      const records = shared.filter(([name]) => !words.has(name))
      const own = new Set(records.map(([name]) => name))
      return records.map(([name, of]) => declared(name, of, (one) => own.has(one) || used(one)))
    }),
    ...Object.fromEntries(
      nouns.map((noun) => [
        `${noun}.ts`,
        file((used) =>
          methods
            .filter(({ name }) => nounOf(name) === noun)
            .flatMap((one) => [
              `${comment(one.summary)}export interface ${titleOf(one.name, 'params')} ${paramsOf(one, used)}\n`,
              declared(titleOf(one.name, 'result'), one.result.schema, used),
            ]),
        ),
      ]),
    ),
    'events.ts': file((used) => eventTypes(document['x-notifications'], used)),
    'methods.ts': methodTypes(methods, nouns),
  }
  const names = Object.keys(files).filter((name) => name !== 'methods.ts')
  const index = [...names.map((name) => `export type * from './${name}'\n`), "export * from './methods.ts'\n"]
  return { ...files, 'index.ts': `${HEAD}${index.join('')}` }
}

const ignored: Used = () => undefined

function eventTypes(told: OpenrpcDocument['x-notifications'], used: Used): readonly string[] {
  used('SessionIdentity')
  const eventsOf = (isTrace: boolean): string =>
    told
      .filter(({ topic }) => (topic === 'trace') === isTrace)
      .map((one) => eventOf(one, used))
      .join('')
  return [TOLD, `export type Event =\n${eventsOf(false)}`, `export type TraceLine =\n${eventsOf(true)}`]
}

function methodTypes(methods: readonly OpenrpcMethod[], nouns: readonly string[]): string {
  const typed = methods.filter(({ name }) => name !== 'event.unsubscribe')
  const row = ({ name, summary, ...more }: OpenrpcMethod): string => {
    const item = name === 'session.trace' ? 'TraceLine' : 'Event'
    const members = [`params: ${titleOf(name, 'params')}`, `result: ${titleOf(name, 'result')}`]
    if (more['x-stream']) members.push(`item: ${item}`)
    return `${comment(summary, '  ')}  '${name}': { ${members.map((one) => `readonly ${one}`).join('; ')} }\n`
  }
  return [
    HEAD,
    "import type { Event, TraceLine } from './events.ts'\n",
    ...nouns.map((noun) => {
      const own = typed.filter(({ name }) => nounOf(name) === noun)
      return imported(new Set(own.flatMap(({ name }) => [titleOf(name, 'params'), titleOf(name, 'result')])), noun)
    }),
    '\n/** What a call takes and gives. */\nexport interface Methods {\n',
    ...typed.filter((one) => !one['x-stream']).map(row),
    '}\nexport type MethodName = keyof Methods\n',
    '\n/** Those whose reply is followed by notifications, and what these are. */\nexport interface Streams {\n',
    ...typed.filter((one) => one['x-stream']).map(row),
    '}\nexport type StreamName = keyof Streams\n',
    '\n/** The errors that acceptd answers, and their codes. */\nexport const FAILURES = {\n',
    ...Object.entries(FAILURES).map(
      ([name, { code, sentence }]) => `${comment(sentence, '  ')}  ${key(name)}: ${code},\n`,
    ),
    '} as const\nexport type FailureName = keyof typeof FAILURES\n',
  ].join('')
}
