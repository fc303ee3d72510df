// A mail program in forty lines: it reads bytes however they are split, and answers as a real one would.

export interface MiniBackend {
  /** The messages that were ended by a line of one dot, dots still doubled. */
  readonly messages: readonly string[]
  /** Lines that it took for commands. */
  readonly commands: readonly string[]
  /** Greets. */
  readonly begin: () => string
  /** Bytes in, replies out. */
  readonly take: (text: string) => string
}

export function miniBackend(chunking = true): MiniBackend {
  const messages: string[] = []
  const commands: string[] = []
  let rest = ''
  let body: string | undefined
  let octets = 0

  function line(text: string): string {
    if (body !== undefined) {
      // As lax as the most lenient: any LF ends a line.
      if (/^\.\r?\n$/.test(text)) {
        messages.push(body)
        body = undefined
        return `250 queued ${messages.length}\r\n`
      }
      body += text
      return ''
    }
    commands.push(text)
    const verb = /^[ \t]*([a-z]*)/i.exec(text)?.[1]?.toUpperCase() ?? ''
    if (verb === 'EHLO')
      return `250-backend\r\n250-STARTTLS\r\n250-AUTH LOGIN\r\n${chunking ? '250-CHUNKING\r\n' : ''}250 SIZE\r\n`
    if (verb === 'DATA') {
      body = ''
      return '354 go\r\n'
    }
    if (verb === 'BDAT' && chunking) {
      octets = Number(/^\S+ (\d+)/.exec(text)?.[1] ?? 0)
      return octets === 0 ? '250 no octets\r\n' : ''
    }
    if (verb === 'QUIT') return '221 bye\r\n'
    return verb === 'MAIL' || verb === 'RCPT' || verb === 'RSET' || verb === 'NOOP'
      ? `250 ${verb} ok\r\n`
      : '502-what\r\n502 is that\r\n'
  }

  return {
    messages,
    commands,
    begin: () => '220 backend\r\n',
    take(text) {
      rest += text
      let said = ''
      for (;;) {
        if (octets > 0) {
          const taken = Math.min(octets, rest.length)
          octets -= taken
          rest = rest.slice(taken)
          if (octets > 0) return said
          said += '250 chunk\r\n'
        }
        const end = rest.indexOf('\n') + 1
        if (end === 0) return said
        said += line(rest.slice(0, end))
        rest = rest.slice(end)
      }
    },
  }
}
