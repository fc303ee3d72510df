// `node dist/scripts/wasm.js` writes src/protocol/line-ends-wasm.ts from line-ends.wat.
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import wabt from 'wabt'

const FOLDER = 'src/protocol'

/** The module as the text of line-ends-wasm.ts. */
export async function moduleText(): Promise<string> {
  const parsed = (await wabt()).parseWat('line-ends.wat', readFileSync(`${FOLDER}/line-ends.wat`, 'utf8'), {
    simd: true,
  })
  const base64 = Buffer.from(parsed.toBinary({}).buffer).toString('base64')
  const lines = (base64.match(/.{1,110}/g) ?? []).map((part) => `  '${part}'`)
  return `// line-ends.wat as a module, written by scripts/wasm.ts.\n\nexport const lineEndsModule =\n${lines.join(' +\n')}\n`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(`${FOLDER}/line-ends-wasm.ts`, await moduleText())
