// A V8 CPU profile as a flame graph in SVG: width is time, a box is drawn above its caller.
import { escapeXml } from './plot.ts'

interface ProfileNode {
  readonly id: number
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  readonly children?: readonly number[]
}

export interface CpuProfile {
  readonly nodes: readonly ProfileNode[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

interface Box {
  readonly name: string
  readonly place: string
  readonly self: number
  readonly total: number
  readonly children: readonly Box[]
}

const WIDTH = 1400
const HEIGHT = 17

/** The tree of a profile, idle time left out, times in microseconds. Children of one name and place are one box. */
export function boxesOf(profile: CpuProfile): Box {
  const self = new Map<number, number>()
  for (const [index, id] of profile.samples.entries())
    self.set(id, (self.get(id) ?? 0) + Math.max(0, profile.timeDeltas[index] ?? 0))
  const byId = new Map(profile.nodes.map((node) => [node.id, node]))
  const boxOf = (nodes: readonly ProfileNode[], name: string, place: string): Box => {
    const groups = new Map<string, ProfileNode[]>()
    for (const child of nodes.flatMap((node) => node.children ?? []).map((id) => byId.get(id))) {
      // The sampler's own work is no part of the picture.
      if (!child || child.callFrame.functionName === '(idle)' || child.callFrame.url.includes('profile-hook')) continue
      const key = `${nameOf(child)}\n${placeOf(child)}`
      const group = groups.get(key)
      if (group) group.push(child)
      else groups.set(key, [child])
    }
    const children = [...groups.values()]
      .map((group) => boxOf(group, nameOf(group[0]), placeOf(group[0])))
      .filter((box) => box.total > 0)
      .toSorted((a, b) => b.total - a.total)
    const own = nodes.reduce((sum, node) => sum + (self.get(node.id) ?? 0), 0)
    return { name, place, self: own, total: own + children.reduce((sum, box) => sum + box.total, 0), children }
  }
  const root = profile.nodes[0]
  return boxOf(root ? [root] : [], 'all', '')
}

const nameOf = (node: ProfileNode | undefined): string => node?.callFrame.functionName || '(anonymous)'
function placeOf(node: ProfileNode | undefined): string {
  if (!node?.callFrame.url) return ''
  const url = node.callFrame.url.replace(/^.*\/(?=dist\/|node_modules\/)/, '')
  return `${url}:${node.callFrame.lineNumber + 1}`
}

function depthOf(box: Box, least: number): number {
  return box.total < least ? 0 : 1 + Math.max(0, ...box.children.map((child) => depthOf(child, least)))
}

/** Own code warm, Node's grey, the engine's own work violet, so that one sees where to look. */
function colourOf(box: Box): string {
  if (box.name.startsWith('(') && box.place === '') return '#b9a3e3'
  if (box.place === '' || box.place.startsWith('node:')) return '#b8bcc4'
  if (box.place.includes('node_modules')) return '#8fc1e3'
  return '#f2a65a'
}

export function flameGraph(profile: CpuProfile, title: string): string {
  const root = boxesOf(profile)
  const least = (root.total / WIDTH) * 0.6
  const depth = depthOf(root, least)
  const height = depth * HEIGHT + 50
  const parts: string[] = []
  const draw = (box: Box, left: number, level: number): void => {
    const width = (box.total / root.total) * WIDTH
    const y = height - 10 - (level + 1) * HEIGHT
    const share = ((box.total / root.total) * 100).toFixed(1)
    const own = ((box.self / root.total) * 100).toFixed(1)
    const letters = Math.floor((width - 6) / 6.6)
    const label = letters < 3 ? '' : box.name.length > letters ? `${box.name.slice(0, letters - 1)}…` : box.name
    parts.push(
      `<g><title>${escapeXml(`${box.name} ${box.place}\n${share} % with what it calls, ${own} % itself`)}</title>` +
        `<rect x="${left.toFixed(1)}" y="${y}" width="${Math.max(0.3, width - 0.5).toFixed(1)}" height="${HEIGHT - 1}" fill="${colourOf(box)}" rx="1"/>` +
        (label ? `<text x="${(left + 3).toFixed(1)}" y="${y + 12}">${escapeXml(label)}</text>` : '') +
        '</g>',
    )
    let at = left
    for (const child of box.children) {
      if (child.total >= least) draw(child, at, level + 1)
      at += (child.total / root.total) * WIDTH
    }
  }
  if (root.total > 0) draw(root, 0, 0)
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" font-family="ui-monospace, monospace" font-size="11">`,
    '<style>.paper{fill:#fff}.title{fill:#222;font-size:14px}text{fill:#111}@media (prefers-color-scheme: dark){.paper{fill:#16181d}.title{fill:#e8e8e8}}</style>',
    `<rect class="paper" width="${WIDTH}" height="${height}"/>`,
    `<text class="title" x="8" y="20">${escapeXml(`${title}: ${(root.total / 1e6).toFixed(2)} s of CPU, idle left out`)}</text>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n')
}
