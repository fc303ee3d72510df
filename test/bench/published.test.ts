import assert from 'node:assert/strict'
import { test } from 'node:test'
import { machineFacts } from '../../bench/facts.ts'
import { type KeptFigure, type KeptRun, publishedTable, withTable } from '../../bench/published.ts'

const figure = (parts: Partial<KeptFigure>): KeptFigure => ({
  row: 'cold',
  figure: 'sessions/s',
  unit: '/s',
  clients: 64,
  against: 'chain',
  ours: 900,
  baseline: 400,
  ratio: 2.25,
  limitShare: 0.611,
  ...parts,
})

const run = (commit: string, figures: readonly KeptFigure[], cpu = 'a'): KeptRun => ({
  facts: { ...machineFacts(), commit, date: '2026-11-28', cpu },
  notes: ['raised for the run, acceptd: max-processes to 4128', 'chain: the classic chain'],
  figures,
})

void test('a figure of several runs is shown as their range, with the commit and date of each', () => {
  const table = publishedTable([
    run('1111111', [figure({}), figure({ clients: 1000, ours: 800 })]),
    run('2222222', [figure({ ours: 1000, baseline: 420, ratio: 2.38, limitShare: 0.7 })]),
  ])
  assert.match(
    table,
    /\| sessions\/s, cold, messages thrown away \| 64 \| 900 to 1000 \| 400 to 420 chain \| 2\.3 to 2\.4 \| 0\.61 to 0\.7 \|/,
  )
  assert.match(table, /\| 1000 \| 800 \| 400 chain \| 2\.3 \| 0\.61 \|/)
  assert.match(table, /2 runs: 2026-11-28 1111111, 2026-11-28 2222222/)
  assert.match(table, /Raised for the run, acceptd: max-processes to 4128\./)
  assert.doesNotMatch(table, /NaN|null|undefined|classic chain/)
})

void test('a run on another machine is in no range, and what a run lacks is left empty', () => {
  const table = publishedTable([
    run('1111111', [figure({ ours: 1 })], 'another'),
    run('2222222', [figure({ baseline: null, ratio: null, limitShare: null })]),
  ])
  assert.match(table, /\| sessions\/s, cold, messages thrown away \| 64 \| 900 \| {2}\| {2}\| {2}\|/)
  assert.match(table, /1 run: 2026-11-28 2222222/)
})

void test('the table replaces what is between its two marks, and nothing in a text without them', () => {
  const marked = 'a\n<!-- bench: written by npm run bench -->\nold\n<!-- bench: end -->\nb\n'
  assert.equal(
    withTable(marked, 'new'),
    'a\n<!-- bench: written by npm run bench -->\n\nnew\n\n<!-- bench: end -->\nb\n',
  )
  assert.equal(withTable(withTable(marked, 'new'), 'new'), withTable(marked, 'new'))
  assert.equal(withTable('a\nb\n', 'new'), 'a\nb\n')
})
