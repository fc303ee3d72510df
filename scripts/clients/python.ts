// docs/examples/acceptd_client.py: core.py with a class for each error and a function for each method.
import { FAILURES } from '../../src/contract/failure.ts'
import { type Components, componentOf, type JsonSchema, titleWord } from '../../src/rpc/components.ts'
import type { OpenrpcDocument, OpenrpcMethod } from '../../src/rpc/openrpc.ts'
import { isRecord } from '../../src/rpc/show.ts'

const WIDTH = 139

const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

/** Text in a docstring. */
const quoted = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('"""', '\\"\\"\\"')

/** Words in lines of WIDTH at most; those after the first are indented further. */
function wrapped(text: string, indent: string, further: string): string {
  const lines: string[] = []
  let line = indent
  for (const word of text.split(' ')) {
    const lead = lines.length === 0 && line === indent ? '' : line.trim() === '' ? '' : ' '
    if (line.length + lead.length + word.length > WIDTH) {
      lines.push(line)
      line = indent + further + word
    } else line += lead + word
  }
  return `${[...lines, line].join('\n')}\n`
}

function resolved(schema: JsonSchema, components: Components): JsonSchema {
  const component = componentOf(schema.$ref)
  return component === undefined ? schema : { ...components[component], ...schema }
}

function typeOf(schema: JsonSchema, components: Components): string {
  const { type, items } = resolved(schema, components)
  switch (type) {
    case 'string':
      return 'str'
    case 'boolean':
      return 'bool'
    case 'integer':
      return 'int'
    case 'number':
      return 'float'
    case 'array':
      return isRecord(items) ? `List[${typeOf(items, components)}]` : 'List[Any]'
    default:
      return 'Dict[str, Any]'
  }
}

/** One of these words, where there are not too many. */
function words(schema: JsonSchema, components: Components): string {
  const { enum: values } = resolved(schema, components)
  return Array.isArray(values) && values.length <= 12 ? ` One of ${values.map(String).join(', ')}.` : ''
}

const literal = (value: unknown): string =>
  typeof value === 'boolean' ? titleWord(String(value)) : JSON.stringify(value)

function membersOf(schema: JsonSchema, components: Components): string {
  const { properties, required } = resolved(schema, components)
  const needed: readonly unknown[] = Array.isArray(required) ? required : []
  return Object.keys(isRecord(properties) ? properties : {})
    .map((name) => (needed.includes(name) ? name : `${name}?`))
    .join(', ')
}

function methodOf(method: OpenrpcMethod, components: Components): string {
  const { name, summary, params, result } = method
  const isStream = method['x-stream'] === true
  const needed = params.filter(({ required }) => required)
  const others = params.filter(({ required }) => !required)
  const listed = [
    'self',
    ...needed.map((one) => `${snake(one.name)}: ${typeOf(one.schema, components)}`),
    ...(others.length > 0 ? ['*'] : []),
    ...others.map((one) => `${snake(one.name)}: Optional[${typeOf(one.schema, components)}] = None`),
  ]
  const title = name === 'event.subscribe' ? 'events' : name.replace('.', '_')
  const returns = isStream ? 'Generator[Dict[str, Any], None, None]' : 'Dict[str, Any]'
  const head = `    def ${title}(${listed.join(', ')}) -> ${returns}:\n`
  const long = `    def ${title}(\n${listed.map((word) => `        ${word},\n`).join('')}    ) -> ${returns}:\n`
  const notes = params.map(({ name: param, description = '', schema }) => {
    const fallback = schema.default === undefined ? '' : ` Default ${literal(schema.default)}.`
    return wrapped(quoted(`${snake(param)}: ${description}${words(schema, components)}${fallback}`), '        ', '    ')
  })
  const gives = isStream ? '' : wrapped(`Returns {${membersOf(result.schema, components)}}.`, '        ', '    ')
  const sent = params.map(({ name: param }) => `"${param}": ${snake(param)}`)
  const [how, last] = isStream ? ['_stream', `, ${name === 'event.subscribe' ? 'True' : 'False'}`] : ['_call', '']
  const line = (inside: string): string => `        return self.${how}("${name}", {${inside}}${last})\n`
  const short = line(sent.join(', '))
  const body = short.length <= WIDTH ? short : line(`\n${sent.map((one) => `            ${one},\n`).join('')}        `)
  return [
    head.length <= WIDTH ? head : long,
    `        """${quoted(summary)}\n${notes.length + gives.length > 0 ? '\n' : ''}`,
    ...notes,
    gives,
    '        """\n',
    body,
  ].join('')
}

const errorClass = (name: string): string => titleWord(name)

export function pythonClient({ methods, components }: OpenrpcDocument, core: string): string {
  const errors = Object.entries(FAILURES).map(
    ([name, { code, sentence, retryable }]) =>
      `class ${errorClass(name)}(AcceptdError):\n    """${sentence}"""\n\n    code = ${code}\n${retryable ? '    retryable = True\n' : ''}\n\n`,
  )
  const rows = Object.keys(FAILURES).map((name) => `        ${errorClass(name)},\n`)
  const table = `_ERRORS: Dict[int, Type[AcceptdError]] = {\n    kind.code: kind\n    for kind in (\n${rows.join('')}    )\n}\n`
  const functions = methods
    .filter(({ name }) => name !== 'event.unsubscribe')
    .map((one) => methodOf(one, components.schemas))
  return core
    .replace('# ERRORS\n', () => `${errors.join('')}${table}`)
    .replace('    # METHODS\n', () => functions.join('\n'))
}
