// Every schema of the OpenRPC document gets a title, and those that have one of their own appear once, in components.schemas.

import { isRecord } from './show.ts'

export type JsonSchema = Readonly<Record<string, unknown>>
export type Components = Record<string, JsonSchema>

const PREFIX = '#/components/schemas/'

/** `end of data` or `dry-run` or `dryRun` as the part of a title that it is. */
export const titleWord = (name: string): string =>
  name.replace(/(?:^|[^A-Za-z0-9]+)([A-Za-z0-9]?)/g, (_, letter: string) => letter.toUpperCase())

/** The component that a `$ref` names. */
export const componentOf = (ref: unknown): string | undefined =>
  typeof ref === 'string' && ref.startsWith(PREFIX) ? ref.slice(PREFIX.length) : undefined

/**
 * A schema for its place in the document: a reference, if it has a title, which is added to `components`; else the schema with `title`.
 * What is inside goes the same way. A description and a default are the place's own.
 */
export function placed(components: Components, schema: JsonSchema, title: string): JsonSchema {
  const { title: own, description, default: fallback, ...rest } = schema
  const place = {
    ...(description !== undefined && { description }),
    ...(fallback !== undefined && { default: fallback }),
  }
  if (typeof own !== 'string') return { title, ...place, ...inside(components, rest, title) }
  const component = { title: own, ...inside(components, rest, own) }
  const known = components[own] ?? component
  components[own] = known
  if (JSON.stringify(known) !== JSON.stringify(component)) throw new Error(`two schemas are called ${own}`)
  return { $ref: `${PREFIX}${own}`, ...place }
}

function inside(components: Components, schema: JsonSchema, title: string): JsonSchema {
  const within = (value: unknown, name: string): unknown =>
    isRecord(value) ? placed(components, value, title + titleWord(name)) : value
  return Object.fromEntries(
    Object.entries(schema).map(([key, value]) => {
      if (key === 'properties' && isRecord(value))
        return [key, Object.fromEntries(Object.entries(value).map(([name, of]) => [name, within(of, name)]))]
      if ((key === 'anyOf' || key === 'oneOf') && Array.isArray(value))
        return [key, value.map((of, i) => within(of, `or ${i + 1}`))]
      const name = SINGLE[key]
      return [key, name === undefined ? value : within(value, name)]
    }),
  )
}

/** Members that are one schema, and what that is called. */
const SINGLE: Readonly<Record<string, string>> = {
  items: 'item',
  additionalProperties: 'value',
  propertyNames: 'name',
}
