// Flame graphs of acceptd's threads under load.
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Problem } from './compare.ts'
import type { Context } from './context.ts'
import { sleep } from './fixture.ts'
import { type CpuProfile, flameGraph } from './flame.ts'
import { runLoad } from './loadgen.ts'
import { resultsDirectory } from './results.ts'
import { plainSetup } from './side.ts'

/** Writes bench/results/flame-{cold,warm}-THREAD.svg and says which. */
export async function writeFlameGraphs(
  context: Context,
): Promise<{ files: readonly string[]; problems: readonly Problem[] }> {
  const files: string[] = []
  const problems: Problem[] = []
  if (!context.ours) return { files, problems: [{ side: 'acceptd', text: 'there is nothing to profile' }] }
  for (const warm of [false, true]) {
    const name = warm ? 'warm' : 'cold'
    context.progress(`profile: ${name}`)
    const directory = join(context.fixture.directory, `profile-${name}`)
    mkdirSync(directory)
    // The runtime is another user.
    chmodSync(directory, 0o777)
    const running = await context.ours.start({ ...plainSetup, warm, profile: directory })
    try {
      const load = { clients: 64, users: 100 }
      await runLoad(running.port, { ...load, duration: context.warmup + 0.5 })
      writeFileSync(join(directory, 'start'), '')
      await sleep(200)
      await runLoad(running.port, { ...load, duration: context.seconds + 2 })
      writeFileSync(join(directory, 'stop'), '')
      for (let tries = 0; tries < 50 && profilesIn(directory).length === 0; tries++) await sleep(100)
      await sleep(1000)
    } finally {
      await running.stop()
    }
    const profiles = profilesIn(directory)
    if (profiles.length === 0) problems.push({ side: context.ours.name, text: `no thread left a profile (${name})` })
    mkdirSync(resultsDirectory, { recursive: true })
    for (const each of profiles) {
      const thread = each.replace(/^\d+-|\.cpuprofile$/g, '')
      const profile: CpuProfile = JSON.parse(readFileSync(join(directory, each), 'utf8'))
      const file = join(resultsDirectory, `flame-${name}-${thread}.svg`)
      writeFileSync(file, flameGraph(profile, `acceptd, ${name} logins, 64 clients, ${thread}`))
      files.push(file)
    }
    rmSync(directory, { recursive: true, force: true })
  }
  return { files, problems }
}

const profilesIn = (directory: string): readonly string[] =>
  readdirSync(directory).filter((name) => name.endsWith('.cpuprofile'))
