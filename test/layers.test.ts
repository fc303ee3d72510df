// Imports go one way between the folders of src: the table below says which.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, it } from 'node:test'

interface Allowed {
  /** Folders of src, besides its own. */
  readonly folders: string
  /** Modules of Node. */
  readonly node: string
  readonly packages: string
}

/** What the sources of a folder may import. The order is the order of the folders: a row names only rows above it. */
const MAY: Readonly<Record<string, Allowed>> = {
  protocol: { folders: '', node: '', packages: 'neverthrow' },
  rules: { folders: 'protocol', node: '', packages: 'neverthrow' },
  limits: { folders: 'protocol', node: '', packages: '' },
  actors: { folders: 'protocol rules', node: '', packages: 'neverthrow' },
  contract: { folders: 'protocol', node: '', packages: 'neverthrow' },
  edge: {
    folders: 'protocol contract',
    node: 'net tls dns fs child_process path os crypto util',
    packages: 'neverthrow',
  },
  config: { folders: 'protocol rules limits contract edge', node: 'crypto', packages: 'neverthrow' },
  session: { folders: 'protocol rules limits actors edge', node: 'crypto', packages: 'neverthrow msgpackr' },
  lane: {
    folders: 'protocol rules limits actors contract edge config session',
    node: 'worker_threads',
    packages: 'neverthrow',
  },
  fleet: { folders: 'protocol limits contract edge config', node: '', packages: 'neverthrow ioredis' },
  runtime: {
    folders: 'protocol rules limits actors contract edge config session lane fleet',
    node: 'worker_threads crypto path',
    packages: 'neverthrow piscina',
  },
  rpc: { folders: 'protocol contract', node: 'net http fs path', packages: 'neverthrow json-rpc-2.0 zod' },
  client: { folders: '', node: 'net', packages: '' },
  classic: {
    folders: 'protocol rules actors edge session',
    node: 'net fs child_process path os',
    packages: 'neverthrow',
  },
  trial: { folders: 'protocol', node: 'fs os path', packages: 'neverthrow' },
  bin: {
    folders: 'protocol rules limits actors contract edge config session lane runtime rpc client classic trial',
    node: 'fs path os util',
    packages: 'neverthrow',
  },
}

/** Only these files of rpc talk on sockets of their own: the control plane's. */
const RPC_SOCKETS = new Set(['socket', 'socket-path', 'line-connection', 'http'].map((name) => `src/rpc/${name}.ts`))

const files = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => join('src', name))

/** Everything a source names after `from`, `import` or `import(`, with its line. */
function imports(file: string): readonly { readonly line: number; readonly name: string }[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .flatMap((text, i) =>
      [...text.matchAll(/(?:^(?:import|export)\b.*\bfrom|^\} from|^import|\bimport\()\s*'([^']+)'/g)].map((match) => ({
        line: i + 1,
        name: match[1] ?? '',
      })),
    )
}

function trouble(file: string, name: string): string | undefined {
  const [, folder = ''] = file.split('/')
  const may = MAY[folder]
  if (may === undefined) return `there is no layer ${folder}`
  if (name.startsWith('.')) {
    const [, target = ''] = normalize(join(dirname(file), name)).split('/')
    return target === folder || may.folders.split(' ').includes(target) ? undefined : `${folder} imports ${target}`
  }
  if (name.startsWith('node:')) {
    const module = name.slice(5)
    const socket = ['net', 'http', 'fs'].includes(module)
    if (folder === 'rpc' && socket && !RPC_SOCKETS.has(file)) return `${file} imports ${name}`
    return may.node.split(' ').includes(module) ? undefined : `${folder} imports ${name}`
  }
  return may.packages.split(' ').includes(name) ? undefined : `${folder} imports the package ${name}`
}

void describe('layers', () => {
  void it('each folder imports only folders above its row, so that no two import each other', () => {
    const order = Object.keys(MAY)
    const upwards = order.flatMap((folder, i) =>
      (MAY[folder]?.folders ?? '')
        .split(' ')
        .filter((name) => name !== '' && !order.slice(0, i).includes(name))
        .map((name) => `${folder} may import ${name}`),
    )
    assert.deepEqual(upwards, [])
  })
  void it('every import is in the table', () => {
    const found = files.flatMap((file) =>
      imports(file).flatMap(({ line, name }) => {
        const problem = trouble(file, name)
        return problem === undefined ? [] : [`${file}:${line}: ${problem}`]
      }),
    )
    assert.deepEqual(found, [])
  })
  void it('only bytes.ts of protocol, rules, limits and actors names Buffer, and nothing there names process or a timer', () => {
    const found = files
      .filter((file) => /^src\/(protocol|rules|limits|actors)\//.test(file))
      .flatMap((file) =>
        readFileSync(file, 'utf8')
          .split('\n')
          .flatMap((text, i) => {
            const code = text.replace(/^\s*(\/\/|\*|\/\*).*$/, '')
            const name = /\b(Buffer\.|process\.|setTimeout|setInterval|Date\.now|Math\.random|performance\.)/.exec(code)
            if (name === null || (name[0] === 'Buffer.' && file === 'src/protocol/bytes.ts')) return []
            return [`${file}:${i + 1}: ${name[0]}`]
          }),
      )
    assert.deepEqual(found, [])
  })
})
