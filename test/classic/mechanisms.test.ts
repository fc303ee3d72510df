// What AUTHUP_MECHANISMS adds to the program authup; without it, everything is as recorded.
import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import { test } from 'node:test'
import type { Case, Step } from '../conformance/case.ts'
import { bye, C, playAll, S } from './dialogue.ts'

const base64 = (text: string): string => Buffer.from(text, 'latin1').toString('base64')
const GREETING = '220 me.example ESMTP\r\n'
const bearer = base64('user=user\x01auth=Bearer token\x01\x01')

const play = (protocol: 'smtp' | 'pop3', steps: readonly Step[], mechanisms: string, more: Partial<Case> = {}) =>
  playAll({
    program: 'authup',
    args: [protocol, '{child}'],
    control: { me: 'me.example\n', smtpcapabilities: '', pop3capabilities: 'TOP\n' },
    env: mechanisms === '' ? {} : { AUTHUP_MECHANISMS: mechanisms },
    child: [{ exit: 0 }],
    steps,
    ...more,
  })

void test('SMTP names them, and hands a token over as the password', async () => {
  const { child_runs: runs } = await play(
    'smtp',
    [
      S(GREETING),
      C('EHLO x\r\n'),
      S('250-me.example\r\n250 AUTH LOGIN PLAIN CRAM-MD5 XOAUTH2\r\n'),
      C('AUTH OAUTHBEARER\r\n'),
      S('504 authup auth type unimplemented (#5.5.1)\r\n'),
      C(`AUTH XOAUTH2 ${bearer}\r\n`),
    ],
    'cram-md5, XOAUTH2 APOP',
  )
  assert.deepEqual(
    runs?.map(({ fd3 }) => fd3),
    ['user\0token\0\0'],
  )
})

void test('a refused token is told why, then 535', async () => {
  await play(
    'smtp',
    [
      S(GREETING),
      C(`AUTH XOAUTH2 ${bearer}\r\n`),
      S(`334 ${base64('{"status":"401","schemes":"bearer"}')}\r\n`),
      C('\r\n'),
      S('535 authup authorization failed (#5.7.0)\r\n'),
      ...bye,
    ],
    'XOAUTH2',
    { child: [{ exit: 1 }] },
  )
})

void test('POP3 has SASL and APOP with them', async () => {
  const { stdout } = await play(
    'pop3',
    [C('CAPA\r\n'), C('AUTH\r\n'), C('QUIT\r\n'), { settled: true }],
    'CRAM-MD5 APOP',
  )
  assert.match(stdout, /\r\nUSER\r\nTOP\r\nSASL CRAM-MD5\r\n\.\r\n\+OK\r\nCRAM-MD5\r\n\.\r\n/)
})

void test('without it there is none of them', async () => {
  await play(
    'smtp',
    [
      S(GREETING),
      C('EHLO x\r\n'),
      S('250-me.example\r\n250 AUTH LOGIN PLAIN\r\n'),
      C(`AUTH XOAUTH2 ${bearer}\r\n`),
      S('504 authup auth type unimplemented (#5.5.1)\r\n'),
      ...bye,
    ],
    '',
  )
})

void test('the responses are what checkpasswords of qmail compare', () => {
  // RFC 2195 section 2 and RFC 1939 section 7, the examples.
  const challenge = '<1896.697170952@postoffice.reston.mci.net>'
  assert.equal(
    createHmac('md5', 'tanstaaftanstaaf').update(challenge).digest('hex'),
    'b913a602c7eda7a495b4e6e7334d3890',
  )
  const apop = createHash('md5').update('<1896.697170952@dbc.mtview.ca.us>tanstaaf').digest('hex')
  assert.equal(apop, 'c4c9334bac560ecc979e58001b3e22fb')
})
