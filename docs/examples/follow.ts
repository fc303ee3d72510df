// Lists the sessions, reloads the configuration, ends the sessions of a user, and shows what happens until it is interrupted. Events go on
// over a restart of the runtime, without a repetition; `restarted` says that a killed one may have lost its last.
// After npm install of acceptd's archive, with Node 24:
//
//   node follow.ts SOCKET USER
import { Acceptd, AcceptdError, type Event } from 'acceptd/client'

const [path, user = ''] = process.argv.slice(2)
const acceptd = new Acceptd({ ...(path !== undefined && { path }) })

// Begun before anything is done, so that what is done is among them.
const events = acceptd.events({ topics: ['session', 'auth', 'config', 'op'] })
await events.ready

const { sessions } = await acceptd.call('session.list')
for (const session of sessions) console.log('session', session.id, session.user ?? '-', session.state)

try {
  const { generation, unchanged } = await acceptd.call('config.reload', { reason: 'follow.ts' })
  console.log('generation', generation, unchanged ? 'as before' : 'published')
} catch (error) {
  if (!(error instanceof AcceptdError)) throw error
  for (const { file, line, message } of error.errors) console.error(`${file}:${line}: ${message}`)
  if (error.errors.length === 0) throw error
}

const { killed } = await acceptd.call('session.kill', { user, mode: 'now', reason: 'follow.ts' })
console.log('killed', killed)

/** The topic and the name say what an event has. */
function about(event: Event): string {
  if (event.topic === 'op' && event.name === 'done') return event.data.method
  if (event.topic === 'auth') return event.data.user
  if (event.topic === 'session') return event.session.id
  return '-'
}

for await (const event of events) {
  if (event.dropped !== undefined) console.log('lost', event.dropped)
  console.log('event', event.seq, event.topic, event.name, about(event))
}
