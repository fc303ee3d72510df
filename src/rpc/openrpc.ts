// The method table as an OpenRPC document.
import { z } from 'zod'
import { FAILURES } from './failure.ts'
import type { Method } from './row.ts'

/** JSON Schema of what a caller may send, or of what it will get: results may gain members, so they are not closed. */
export function jsonSchema(schema: z.ZodType): Record<string, unknown> {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    target: 'draft-7',
    io: 'input',
    override: ({ jsonSchema: node }) => {
      delete node.readOnly
    },
  })
  return rest
}

let methods: ReadonlyMap<string, Method> = new Map()
/** methods.ts holds rpc.discover, which shows methods.ts: whoever dispatches closes the circle. */
export function describeMethods(table: ReadonlyMap<string, Method>): void {
  methods = table
}

export interface OpenrpcDocument {
  readonly openrpc: string
  readonly info: { readonly title: string; readonly version: string; readonly description: string }
  readonly methods: readonly { readonly name: string }[]
  readonly [more: string]: unknown
}

export function openrpcDocument(version: string): OpenrpcDocument {
  return {
    openrpc: '1.3.2',
    info: {
      title: 'acceptd',
      version,
      description: 'JSON-RPC 2.0 over Unix stream sockets, one JSON text per line each way, or HTTP/1.1 POST /.',
    },
    methods: [...methods].map(([name, { sentence, params, result, level, changes, example }]) => ({
      name,
      summary: sentence,
      paramStructure: 'by-name',
      tags: [{ name: level }, ...(changes ? [{ name: 'changes' }] : [])],
      params: Object.entries(params.shape).map(([param, schema]) => {
        const { description, ...rest } = jsonSchema(schema)
        return {
          name: param,
          ...(typeof description === 'string' && { description }),
          required: neededParams(params).has(param),
          schema: rest,
        }
      }),
      result: { name: 'result', schema: jsonSchema(result) },
      errors: errorsOf(level, changes),
      examples: [
        {
          name: 'example',
          params: Object.entries(example.params).map(([param, value]) => ({ name: param, value })),
          result: { name: 'result', value: example.result },
        },
      ],
    })),
  }
}

/** The names of the parameters that a caller must give. */
export function neededParams(params: z.ZodObject): ReadonlySet<string> {
  const { required } = jsonSchema(params)
  return new Set(Array.isArray(required) ? required.map(String) : [])
}

function errorsOf(level: string, changes: boolean): { code: number; message: string }[] {
  return Object.entries(FAILURES)
    .filter(([name]) => (name !== 'permission' || level === 'control') && (name !== 'conflict' || changes))
    .map(([, { code, sentence }]) => ({ code, message: sentence }))
}
