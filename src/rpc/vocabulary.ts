// acceptctl's vocabulary, from the method table: its commands, their options, and the other words for each.
import { SESSION_SORTS } from '../contract/pages.ts'
import { METHOD_MAP } from './methods.ts'
import { jsonSchema, neededParams } from './openrpc.ts'
import type { Method } from './row.ts'
import { cell, FORMATS } from './show.ts'

export interface Option {
  /** As it is written, without the dashes. */
  readonly name: string
  readonly param: string
  /** time: of RFC 3339, or how long ago. */
  readonly kind: 'text' | 'number' | 'time' | 'flag' | 'list' | 'map' | 'file'
  readonly values: readonly string[]
  readonly needed: boolean
  readonly fallback?: string
  /** Of a number; none where any will do. */
  readonly bounds?: {
    readonly least?: number
    readonly above?: number
    readonly most?: number
    readonly whole?: boolean
  }
  readonly sentence: string
}

export const GLOBAL_OPTIONS: readonly Option[] = [
  {
    name: 'socket',
    param: 'socket',
    kind: 'text',
    values: [],
    needed: false,
    sentence: 'The control socket; else $ACCEPTD_SOCKET, /run/acceptd/control.sock, var/run/control.sock.',
  },
  {
    name: 'output',
    param: 'output',
    kind: 'text',
    values: FORMATS,
    needed: false,
    fallback: 'table',
    sentence: 'How to show the result (-o): tsv has no heading, jsonl has one entry per line.',
  },
  {
    name: 'timeout',
    param: 'timeout',
    kind: 'number',
    values: [],
    needed: false,
    fallback: '60',
    bounds: { above: 0, most: 86_400 },
    sentence: 'Seconds to wait for a reply.',
  },
  {
    name: 'wide',
    param: 'wide',
    kind: 'flag',
    values: [],
    needed: false,
    fallback: 'false',
    sentence: 'On a terminal, too, show the cells of a table whole.',
  },
]

export const SHELLS = ['bash', 'zsh', 'fish'] as const

export const SPECIAL = {
  top: 'Shows lanes, limits and sessions, redrawn every second: ? says which keys there are, q quits.',
  watch: 'Prints events as they happen: acceptctl watch session auth.',
  call: 'Calls any method: acceptctl call METHOD name=text name:=json.',
  completion: 'Prints a completion script for bash, zsh or fish.',
  help: 'Says this, or more about a command.',
} as const

export const TOP_OPTIONS: readonly Option[] = [
  {
    name: 'interval',
    param: 'interval',
    kind: 'number',
    values: [],
    needed: false,
    fallback: '1',
    bounds: { least: 0.1, most: 3600 },
    sentence: 'Seconds between two refreshes.',
  },
  {
    name: 'sort',
    param: 'sort',
    kind: 'text',
    values: SESSION_SORTS,
    needed: false,
    fallback: 'idle',
    sentence: 'The order of the sessions, to begin with.',
  },
  {
    name: 'reverse',
    param: 'reverse',
    kind: 'flag',
    values: [],
    needed: false,
    fallback: 'false',
    sentence: 'The other way round.',
  },
  {
    name: 'once',
    param: 'once',
    kind: 'flag',
    values: [],
    needed: false,
    fallback: 'false',
    sentence: 'Show it once, as without a terminal.',
  },
]

export function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(String) : []
}

export function optionsOf(method: Method): readonly Option[] {
  const needed = neededParams(method.params)
  return Object.entries(method.params.shape).flatMap(([param, schema]): Option[] => {
    const json = jsonSchema(schema)
    const { type, enum: values, items, default: fallback, description, format } = json
    if (param === method.cli.secret)
      return [
        {
          name: `${kebab(param)}-fd`,
          param: `${param}Fd`,
          kind: 'number',
          values: [],
          needed: false,
          bounds: { least: 0, most: 1023, whole: true },
          sentence: `Read the ${param} from this descriptor: its first line.`,
        },
      ]
    const itemValues = typeof items === 'object' && items !== null && 'enum' in items ? items.enum : undefined
    const common = {
      param,
      values: texts(values ?? itemValues),
      needed: needed.has(param),
      ...(['string', 'number', 'boolean'].includes(typeof fallback) && { fallback: cell(fallback) }),
      sentence: typeof description === 'string' ? description : '',
    }
    if (param === method.cli.file && type !== 'object')
      return [
        { ...common, name: kebab(param), kind: 'text' },
        { ...common, name: `${kebab(param)}-file`, kind: 'file', needed: false, sentence: 'The same, from a file.' },
      ]
    const kind =
      type === 'boolean'
        ? 'flag'
        : type === 'number' || type === 'integer'
          ? 'number'
          : type === 'array'
            ? 'list'
            : type === 'object'
              ? 'map'
              : format === 'date-time'
                ? 'time'
                : 'text'
    return [{ ...common, name: kebab(param), kind, ...(kind === 'number' && { bounds: boundsOf(json) }) }]
  })
}

/** Any number that JSON can hold is no bound. */
function boundsOf({
  type,
  minimum,
  exclusiveMinimum,
  maximum,
}: Record<string, unknown>): NonNullable<Option['bounds']> {
  const isBound = (value: unknown): value is number => typeof value === 'number' && Math.abs(value) < 2 ** 52
  return {
    ...(isBound(minimum) && { least: minimum }),
    ...(isBound(exclusiveMinimum) && { above: exclusiveMinimum }),
    ...(isBound(maximum) && { most: maximum }),
    ...(type === 'integer' && { whole: true }),
  }
}

/** The texts-by-name parameter, given as paths after the options. */
export function pathsParam(method: Method): string | undefined {
  const { file } = method.cli
  return file !== undefined && optionsOf(method).some(({ param, kind }) => param === file && kind === 'map')
    ? file
    : undefined
}

/** `session` → its methods by verb. */
export function nouns(): ReadonlyMap<string, ReadonlyMap<string, Method>> {
  const all = new Map<string, Map<string, Method>>()
  for (const [name, method] of METHOD_MAP) {
    const [noun = '', verb = ''] = name.split('.')
    const verbs = all.get(noun) ?? new Map<string, Method>()
    verbs.set(verb, method)
    all.set(noun, verbs)
  }
  return all
}
