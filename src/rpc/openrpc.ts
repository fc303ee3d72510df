// The method table as an OpenRPC document.
import { z } from 'zod'
import { EVENTS, NOTICES } from '../contract/events.ts'
import { FAILURES } from '../contract/failure.ts'
import { record } from '../contract/shape.ts'
import { type Components, type JsonSchema, placed, titleWord } from './components.ts'
import type { Method } from './row.ts'
import { schemaOf, sessionIdentity } from './session-schema.ts'

/** JSON Schema of what a caller may send, or of what it will get: results may gain members, so they are not closed. */
export function jsonSchema(schema: z.ZodType): Record<string, unknown> {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    target: 'draft-7',
    io: 'input',
    override: ({ jsonSchema: node }) => {
      delete node.readOnly
      // The same in the words that every reader knows.
      if (Array.isArray(node.type)) {
        node.anyOf = node.type.map((type) => ({ type }))
        delete node.type
      }
    },
  })
  return rest
}

let methods: ReadonlyMap<string, Method> = new Map()
/** methods.ts holds rpc.discover, which shows methods.ts: dispatch.ts sets the table, so that neither imports the other. */
export function describeMethods(table: ReadonlyMap<string, Method>): void {
  methods = table
}

export interface OpenrpcMethod {
  readonly name: string
  readonly 'x-method-name': string
  /** Notifications follow the reply. */
  readonly 'x-stream'?: true
  readonly summary: string
  readonly params: readonly {
    readonly name: string
    readonly description?: string
    readonly required: boolean
    readonly schema: JsonSchema
  }[]
  readonly result: { readonly name: string; readonly schema: JsonSchema }
  readonly [more: string]: unknown
}

/** An event: what comes as the notification `event`. */
export interface OpenrpcNotification {
  readonly topic: string
  readonly event: string
  readonly summary: string
  /** Whether it names a session. */
  readonly session: boolean
  /** Members of data that status.sock does not see. */
  readonly controlOnly?: readonly string[]
  readonly data: JsonSchema
}

export interface OpenrpcDocument {
  readonly openrpc: string
  readonly info: { readonly title: string; readonly version: string; readonly description: string }
  readonly methods: readonly OpenrpcMethod[]
  readonly 'x-notifications': readonly OpenrpcNotification[]
  readonly components: { readonly schemas: Components }
  readonly [more: string]: unknown
}

const made = new Map<string, OpenrpcDocument>()

/** Made once: it is a hundred kilobytes, and always the same. */
export function openrpcDocument(version: string): OpenrpcDocument {
  const document = made.get(version) ?? makeDocument(version)
  made.set(version, document)
  return document
}

/** Dots of names as the languages of callers take them; no name of ours has an underscore, so that it can be turned back. */
export const methodWord = (name: string): string => name.replaceAll('.', '_')

function makeDocument(version: string): OpenrpcDocument {
  const schemas: Components = {}
  const at = (schema: z.ZodType, title: string) => placed(schemas, jsonSchema(schema), title)
  return {
    // The latest that @open-rpc/generator knows; nothing here is of a later one.
    openrpc: '1.2.6',
    info: {
      title: 'acceptd',
      version,
      description: 'JSON-RPC 2.0 over Unix stream sockets, one JSON text per line each way, or HTTP/1.1 POST /.',
    },
    'x-session': at(sessionIdentity, ''),
    'x-notifications': notifications(schemas),
    methods: [...methods].map(([name, method]) => ({
      name,
      'x-method-name': methodWord(name),
      summary: method.sentence,
      paramStructure: 'by-name',
      ...(method.cli.stream && { 'x-stream': true }),
      tags: [{ name: method.level }, ...(method.changes ? [{ name: 'changes' }] : [])],
      params: Object.entries(method.params.shape).map(([param, schema]) => {
        const { description, ...rest } = at(schema, titleWord(`${name} ${param}`))
        return {
          name: param,
          ...(typeof description === 'string' && { description }),
          required: neededParams(method.params).has(param),
          schema: rest,
        }
      }),
      result: { name: 'result', schema: at(method.result, titleWord(`${name} result`)) },
      errors: errorsOf(method),
      examples: [
        {
          name: 'example',
          params: Object.entries(method.example.params).map(([param, value]) => ({ name: param, value })),
          result: { name: 'result', value: method.example.result },
        },
      ],
    })),
    components: { schemas },
  }
}

/** Each event, and the lines of a trace: what comes as the notification `event`, and when. */
function notifications(schemas: Components): readonly OpenrpcNotification[] {
  return Object.entries({ ...EVENTS, ...NOTICES }).flatMap(([topic, rows]) =>
    Object.entries(rows).map(([name, { when, session, data, envelope = [] }]) => ({
      name: 'event',
      topic,
      event: name,
      summary: when,
      session,
      ...(envelope.length > 0 && { controlOnly: envelope }),
      data: placed(schemas, jsonSchema(schemaOf(record(data))), titleWord(`${topic} ${name} data`)),
    })),
  )
}

/** The names of the parameters that a caller must give. */
export function neededParams(params: z.ZodObject): ReadonlySet<string> {
  const { required } = jsonSchema(params)
  return new Set(Array.isArray(required) ? required.map(String) : [])
}

/** Failures that only some methods know. */
function mayFail(name: string, { level, params }: Method): boolean {
  switch (name) {
    case 'permission':
      return level === 'control'
    case 'conflict':
    case 'config-invalid':
    case 'lane-refused':
      return 'ifSha256' in params.shape
    case 'helper-unavailable':
      return 'password' in params.shape
    default:
      return true
  }
}

function errorsOf(method: Method): { code: number; message: string }[] {
  return Object.entries(FAILURES)
    .filter(([name]) => mayFail(name, method))
    .map(([, { code, sentence }]) => ({ code, message: sentence }))
}
