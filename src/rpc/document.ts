// The method table as docs/rpc.md.

import { EVENTS } from '../contract/events.ts'
import { FAILURES } from '../contract/failure.ts'
import { METRICS } from '../contract/metrics.ts'
import type { Shape } from '../contract/shape.ts'
import { usageOf } from './help.ts'
import { METHOD_MAP } from './methods.ts'
import { jsonSchema, neededParams } from './openrpc.ts'
import type { Method } from './row.ts'
import { isRecord } from './show.ts'

const INTRODUCTION = `# The control plane

Generated from the method table, src/rpc/methods.ts; do not edit. \`acceptctl rpc discover\` gives the same as an OpenRPC document.

acceptd answers JSON-RPC 2.0 on two Unix stream sockets, with one JSON text per line in each direction:

    echo '{"jsonrpc":"2.0","id":1,"method":"server.ping"}' | socat -t5 - UNIX-CONNECT:/run/acceptd/control.sock

A connection whose first line is an HTTP request speaks HTTP/1.1: \`POST /\` with one JSON-RPC text, \`GET /metrics\` for Prometheus:

    curl --unix-socket /run/acceptd/control.sock -d '{"jsonrpc":"2.0","id":1,"method":"server.ping"}' http://acceptd/

control.sock (mode 0600) serves every method. status.sock (mode 0660) serves the methods marked R below, with verbs without their arguments
and without the texts of control files.

- Parameters are named; an unknown one is refused before anything happens.
- Methods that change something accept \`dryRun\`. A change with \`ttl\`, in seconds, ends by itself, and op.list shows it until then.
- Times are RFC 3339 in UTC with milliseconds, durations are seconds. Results gain members and never lose any.
- Texts are octets: what clients, files and operators wrote. They are shown as UTF-8, an octet that is no part of UTF-8 as \\xNN, a
  backslash as \\\\; parameters are read in the same way, so that what a result shows can be given back. In a glob \\* and \\? are the
  characters themselves. Only a password is taken as it is.
- A batch holds at most 100 requests and is answered in order. A line holds at most a megabyte. The requests of a connection are
  answered in turn.
- Events and traces come as notifications named \`event\` after the reply that announces them, numbered by \`seq\`. A reader that is too
  slow misses some: the next one has their number in \`dropped\`. Over HTTP they follow the reply as lines of the same body. A client may
  close its side of the connection and read on; one that is gone ends its streams, and what is left of its batch.

In the OpenRPC document every schema has a title, and what several methods share is in components.schemas. Generators that take the name
of a method for a word of their language, such as @open-rpc/generator, need it without the dot: \`x-method-name\` has \`session_list\` for
session.list. No name has an underscore, so that the transport of such a client tells the name back: it sends the first underscore as a dot.

    acceptctl rpc discover -o json | jq '.methods[].name |= sub("[.]"; "_")' >openrpc.json

Clients for TypeScript and Python, and how they are used: [control.md](control.md). docs/examples has scripts that need only socat and jq, or
only curl.
`

function inCell(text: string): string {
  return text.replace(/\|/g, '\\|')
}

function typeOf(schema: unknown): string {
  if (!isRecord(schema)) return ''
  if (Array.isArray(schema.enum)) return schema.enum.map((value) => `\`${String(value)}\``).join(', ')
  if (schema.const !== undefined) return `\`${JSON.stringify(schema.const)}\``
  if (Array.isArray(schema.anyOf)) return schema.anyOf.map(typeOf).join(' or ')
  if (schema.format === 'date-time') return 'time'
  if (schema.type === 'array') return `list of ${typeOf(schema.items)}`
  if (schema.type === 'object') {
    const { properties, additionalProperties, required } = schema
    if (!isRecord(properties))
      return isRecord(additionalProperties) ? `{name: ${typeOf(additionalProperties)}}` : 'object'
    const needed: readonly unknown[] = Array.isArray(required) ? required : []
    return `{${Object.keys(properties)
      .map((name) => `${name}${needed.includes(name) ? '' : '?'}`)
      .join(', ')}}`
  }
  return typeof schema.type === 'string' ? schema.type : ''
}

function membersOf(method: Method): readonly string[] {
  const { properties, required } = jsonSchema(method.result)
  if (!isRecord(properties)) return []
  const needed: readonly unknown[] = Array.isArray(required) ? required : []
  return Object.entries(properties).map(([name, schema]) => {
    const sentence = isRecord(schema) && typeof schema.description === 'string' ? schema.description : ''
    return `| ${name}${needed.includes(name) ? '' : '?'} | ${inCell(typeOf(schema))} | ${inCell(sentence)} |`
  })
}

function paramsOf(method: Method): readonly string[] {
  const needed = neededParams(method.params)
  return Object.entries(method.params.shape).map(([name, schema]) => {
    const { description, default: fallback, ...rest } = jsonSchema(schema)
    const notes = [
      typeof description === 'string' ? description : '',
      fallback === undefined ? '' : `Default ${JSON.stringify(fallback)}.`,
    ]
    return `| ${name}${needed.has(name) ? '' : '?'} | ${inCell(typeOf(rest))} | ${inCell(notes.filter((note) => note !== '').join(' '))} |`
  })
}

function section(name: string, method: Method): string {
  const { sentence, level, changes, example } = method
  const params = paramsOf(method)
  const request = { jsonrpc: '2.0', id: 1, method: name, params: example.params }
  return `## ${name}

${sentence} ${level === 'status' ? 'R.' : 'control.sock only.'}${changes ? ' Changes the running daemon.' : ''}

    ${usageOf(name, method)}
${params.length > 0 ? `\n| parameter | | |\n|---|---|---|\n${params.join('\n')}\n` : ''}
| result | | |
|---|---|---|
${membersOf(method).join('\n')}

\`\`\`json
${JSON.stringify(request)}
${JSON.stringify({ jsonrpc: '2.0', id: 1, result: example.result })}
\`\`\`
`
}

const membersOfData = (data: Readonly<Record<string, Shape>>, envelope: readonly string[]): string =>
  Object.entries(data)
    .map(([name, { is }]) => (envelope.includes(name) ? `(${name})` : `${name}${is === 'optional' ? '?' : ''}`))
    .join(', ')

export function rpcDocument(): string {
  const errors = Object.entries(FAILURES).map(
    ([, { code, sentence, retryable, exit }]) => `| ${code} | ${sentence} | ${retryable ? 'yes' : 'no'} | ${exit} |`,
  )
  const metrics = Object.entries(METRICS).map(
    ([name, { type, help, labels }]) => `| ${name} | ${type} | ${labels.join(', ')} | ${help} |`,
  )
  const methods = [...METHOD_MAP].map(
    ([name, { level, changes, sentence }]) =>
      `| [${name}](#${name.replace('.', '')}) | ${level === 'status' ? 'R' : ''}${changes ? ' changes' : ''} | ${sentence} |`,
  )
  const events = Object.entries(EVENTS).flatMap(([topic, rows]) =>
    Object.entries(rows).map(
      ([name, { when, session, data, envelope = [] }]) =>
        `| ${topic} | ${name} | ${session ? 'session' : ''} | ${membersOfData(data, envelope)} | ${when} |`,
    ),
  )
  return `${INTRODUCTION}
| method | | |
|---|---|---|
${methods.join('\n')}

## Errors

\`data\` is always \`{reason, retryable, ...}\`: reason is a stable word, the message is for people.

| code | | retryable | exit code of acceptctl |
|---|---|---|---|
${errors.join('\n')}

## Events

event.subscribe sends each as a notification named \`event\`: \`{subscription, seq, at, topic, name, session?, data}\`. \`seq\` grows from event to
event, also over a restart of the runtime; given back as \`since\` it replays what came after, of the last 10,000. Events come in the order
of \`at\`, a fifth of a second after they happened. Members in brackets come on control.sock only. While nobody has subscribed for ten
minutes sessions tell nothing, and cost nothing.

| topic | name | | data | |
|---|---|---|---|---|
${events.join('\n')}

## Metrics

| name | | labels | |
|---|---|---|---|
${metrics.join('\n')}

${[...METHOD_MAP].map(([name, method]) => section(name, method)).join('\n')}`
}
