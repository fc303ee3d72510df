import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FAULTS } from '../../src/protocol/dialogue.ts'
import { promisesStatus, replyText } from '../../src/protocol/status.ts'

void test('a reply of ours begins with its status where EHLO promises that, otherwise as recorded', () => {
  const busy = { code: '421', status: '4.3.2', text: 'too many sessions' }
  assert.equal(replyText(busy, true), '421 4.3.2 too many sessions\r\n')
  assert.equal(replyText(busy, false), '421 too many sessions (#4.3.2)\r\n')
  assert.equal(replyText({ ...busy, recorded: '' }, false), '421 too many sessions\r\n')
  assert.equal(replyText({ ...busy, recorded: '5.7.0' }, false), '421 too many sessions (#5.7.0)\r\n')
  assert.equal(replyText({ ...busy, recorded: '5.7.0' }, true), '421 4.3.2 too many sessions\r\n')
})

void test('the keyword is the promise, in any case, and nothing else is', () => {
  for (const line of ['ENHANCEDSTATUSCODES', 'enhancedStatusCodes', 'ENHANCEDSTATUSCODES '])
    assert.equal(promisesStatus(['8BITMIME', line, 'SIZE 1']), true, line)
  for (const line of ['XENHANCEDSTATUSCODES', 'ENHANCEDSTATUSCODES2', 'SIZE ENHANCEDSTATUSCODES', ''])
    assert.equal(promisesStatus([line]), false, line)
})

void test('the class of a status is that of its code (RFC 2034 section 4)', () => {
  for (const [name, { code, status }] of Object.entries(FAULTS)) {
    assert.match(status, /^[245]\.\d{1,3}\.\d{1,3}$/, name)
    assert.equal(status[0], code[0], name)
  }
})
