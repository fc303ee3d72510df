// Splitting the reads of either side anywhere changes nothing for the other: every transcript, and conversations made up of hazards.
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { inlineWorld } from '../support/inline.ts'
import { miniBackend } from '../support/mini-backend.ts'
import { byteByByte, parseTranscripts, play, readTranscripts, type Split, whole } from '../support/transcript.ts'

/** Cuts made from a list of numbers, which fast-check can make shorter. */
function cutter(numbers: readonly number[]): Split {
  let next = 0
  return (text) => {
    const pieces: string[] = []
    let rest = text
    while (rest !== '') {
      const wanted = numbers.length === 0 ? rest.length : (numbers[next++ % numbers.length] ?? 0)
      const size = Math.max(wanted, Math.ceil(text.length / 50), 1)
      pieces.push(rest.slice(0, size))
      rest = rest.slice(size)
    }
    return pieces
  }
}
const cuts = fc.array(fc.nat({ max: 40 }), { minLength: 1, maxLength: 8 })

const DIR = 'test/actors/transcripts'

void describe('splitting the reads anywhere changes nothing', () => {
  for (const file of readdirSync(DIR).toSorted())
    void it(`in the transcripts of ${file}`, async () => {
      for (const transcript of readTranscripts(`${DIR}/${file}`))
        await fc.assert(
          fc.asyncProperty(cuts, (numbers) => play(transcript, inlineWorld(transcript.settings), cutter(numbers))),
          { numRuns: 15 },
        )
    })

  /** Everything that both sides receive in a conversation whose backend answers what it is sent. */
  function converse(options: string, said: string, client: Split, backend: Split) {
    const [made] = parseTranscripts(`# made up\nwith: ${options}`, '')
    assert.ok(made !== undefined)
    const world = inlineWorld(made.settings)
    const program = miniBackend(!options.includes('CHUNKING'))
    let got = 0
    const turn = () => {
      for (;;) {
        void world.go(false)
        const stream = world.backend()
        const heard = stream?.heard() ?? ''
        if (stream === undefined || heard.length === got) return
        const replies = program.take(heard.slice(got))
        got = heard.length
        for (const piece of backend(replies)) stream.send(piece)
        if (replies.includes('221 bye') || stream.closed()) stream.close()
      }
    }
    const login = `EHLO me\r\nAUTH PLAIN ${Buffer.from('\0me\0secret').toString('base64')}\r\n`
    let accepted = false
    for (const piece of client(login + said)) {
      world.client.send(piece)
      void world.go(false)
      if (!accepted && world.askedOfHelper().length > 0) {
        accepted = true
        world.answerOfHelper('ok 1000 1000 42')
        for (const greeting of backend(program.begin())) world.backend()?.send(greeting)
      }
      turn()
    }
    world.client.close()
    turn()
    world.backend()?.close()
    turn()
    return {
      client: world.client.heard(),
      backend: world.backend()?.heard() ?? '',
      messages: [...program.messages],
      commands: [...program.commands],
      ended: world.ended() !== undefined,
    }
  }

  const hazards = fc
    .array(
      fc.constantFrom(
        '.',
        '..',
        '\r',
        '\n',
        '\r\n',
        '\r\n.\r\n',
        '\n.\n',
        '\r\n.\n',
        '\n.\r\n',
        '\r.\r',
        '\r\n.\r',
        'text',
        'DATA\r\n',
        ' data\r\n',
        'DATA\t\r\n',
        'NOOP\r\n',
        'RSET\r\n',
        'MAIL FROM:<a@b>\r\n',
        'RCPT TO:<c@d>\r\n',
        'AUTH PLAIN x\r\n',
        'EHLO again\r\n',
        'QUIT\r\n',
        'BDAT 3\r\n',
        'BDAT 0 LAST\r\n',
        'STARTTLS\r\n',
        '\0',
        '\xff',
        'HELP\r\n',
      ),
      { maxLength: 30 },
    )
    .map((parts) => parts.join(''))

  for (const options of [
    'bare=fix',
    'bare=refuse',
    'offer CHUNKING',
    'rule :in_data::2*::',
    'rule :rcpt:NOOP :*::550 no',
  ])
    void it(`in what a client may say after its login (${options})`, () => {
      fc.assert(
        fc.property(hazards, cuts, cuts, (said, here, there) => {
          const both = (client: Split, backend: Split) => {
            const got = converse(options, said, client, backend)
            // If a message is refused, the backend gets whatever had arrived by then: it is cut short anyway.
            return options === 'bare=refuse' ? { ...got, backend: '' } : got
          }
          const expected = both(whole, whole)
          assert.ok(expected.ended)
          assert.deepEqual(both(cutter(here), cutter(there)), expected)
          assert.deepEqual(both(byteByByte, byteByByte), expected)
        }),
        { numRuns: 250 },
      )
    })

  void it('front and backend never disagree about where a message ends', () => {
    fc.assert(
      fc.property(hazards, (said) => {
        const body = `DATA\r\n${said}\r\n.\r\nQUIT\r\n`
        const got = converse('bare=fix', body, whole, whole)
        // The client's own count: messages end at CR LF . CR LF only.
        const first = body.slice('DATA'.length)
        const strict = first.slice(2, first.indexOf('\r\n.\r\n') + 2)
        const mended = strict
          .replace(/\r\n|\r|\n/g, '\r\n')
          .split('\r\n')
          .map((line) => (line.startsWith('.') && !line.startsWith('..') ? line.slice(1) : line.replace(/^\.\./, '.')))
          .join('')
        const seen = (got.messages[0] ?? '')
          .split('\r\n')
          .map((line) => line.replace(/^\.+/, '.'))
          .join('')
        if (got.client.includes('421 message has a NUL')) return
        assert.ok(got.messages.length > 0, 'no message')
        assert.equal(seen.replaceAll('.', ''), mended.replaceAll('.', ''))
      }),
      { numRuns: 400 },
    )
  })
})
