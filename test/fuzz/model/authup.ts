// The dialogue of the program authup once more, as its page and the recorded cases have it, without TLS and without reup. Slow and plain.

export interface ModelStep {
  readonly send: string
  readonly expect: string
}

export interface ModelSession {
  readonly steps: readonly ModelStep[]
  /** Of the program; undefined: it still reads when the steps are over, and ends with 1 when its client does. */
  readonly exit: number | undefined
  /** What it says last. */
  readonly last: string
  /** Lines of the log after the first. */
  readonly log: readonly string[]
  /** What each checkpassword was given. */
  readonly given: readonly string[]
}

/** What a checkpassword does with a password: its exit code, or a signal with s before it; and what it, or what follows it, says. */
export type Child = (password: string) => { readonly ends: string; readonly says: string }

interface Words {
  readonly refused: string
  readonly tempfail: string
  readonly crashed: string
  readonly malformed: string
  /** Said to a client that has disconnected. */
  readonly gone: string
}

const WORDS: Readonly<Record<'smtp' | 'pop3', Words>> = {
  smtp: {
    refused: '535 authup authorization failed (#5.7.0)\r\n',
    tempfail: '454 authup temporary authentication failure (#4.7.0)\r\n',
    crashed: '454 authup aack, child crashed (#4.3.0)\r\n',
    malformed: '501\r\n',
    gone: '454 authup unable to read pipe (#4.3.0)\r\n',
  },
  pop3: {
    refused: '-ERR authup authorization failed\r\n',
    tempfail: '-ERR [SYS/TEMP] authup temporary authentication failure\r\n',
    crashed: '-ERR [SYS/TEMP] authup aack, child crashed\r\n',
    malformed: '-ERR authup syntax error\r\n',
    gone: '-ERR authup unable to read pipe\r\n',
  },
}

const decoded = (text: string): string | undefined => {
  const octets = Buffer.from(text, 'base64').toString('latin1')
  return Buffer.from(octets, 'latin1').toString('base64') === text ? octets : undefined
}

const isName = (text: string): boolean => text !== '' && !text.split('').some((one) => one < ' ' || one === '\x7f')
const isSecret = (text: string): boolean => text !== '' && !/[\0\r\n]/.test(text)

/** One session: the answer to each line. Of 501 only the code is given. */
export function authupModel(
  protocol: 'smtp' | 'pop3',
  greeting: string,
  tries: number,
  lines: readonly string[],
  child: Child,
): ModelSession {
  const words = WORDS[protocol]
  const steps: ModelStep[] = []
  const log: string[] = []
  const given: string[] = []
  let left = tries
  let exit: number | undefined
  let user: string | undefined
  let asked: 'plain' | 'login-user' | 'login-password' | undefined

  const login = (name: string, password: string): string => {
    given.push(`${name}\0${password}\0${protocol === 'smtp' ? '' : '<TIMESTAMP>'}\0`)
    log.push(`authup PID checkpassword PID attempt for ${name}`)
    const { ends, says } = child(password)
    if (ends === '1' || ends === '2') {
      left -= 1
      log.push(`authup PID checkpassword PID failed, ${left} remaining`)
      if (left === 0) exit = 1
      return says + words.refused
    }
    if (ends === '111') {
      log.push('authup PID checkpassword PID failed temporarily')
      return says + words.tempfail
    }
    if (ends.startsWith('s')) {
      exit = 1
      return says + words.crashed
    }
    log.push('authup PID checkpassword PID succeeded, child completed')
    exit = Number(ends)
    return says
  }
  const plain = (response: string): string => {
    const text = response === '=' ? '' : decoded(response)
    const [, authzid, name, password] = /^([^\0]*)\0([^\0]*)\0([^\0]*)(?:\0.*)?$/s.exec(text ?? '') ?? []
    if (name === undefined || password === undefined || !isName(name) || !isSecret(password)) return words.malformed
    return authzid === '' || authzid === name ? login(name, password) : 'authzid'
  }
  const loginUser = (response: string): string => {
    const text = response === '=' ? '' : decoded(response)
    if (text === undefined || !isName(text)) return words.malformed
    user = text
    asked = 'login-password'
    return '334 UGFzc3dvcmQ6\r\n'
  }
  const smtp = (verb: string, argument: string): string => {
    switch (verb) {
      case 'EHLO':
        return `250-${greeting}\r\n250-AUTH LOGIN PLAIN\r\n250-PIPELINING\r\n250 8BITMIME\r\n`
      case 'HELO':
        return `250 ${greeting}\r\n`
      case 'NOOP':
        return '250 ok\r\n'
      case 'HELP':
        return '214 authup home page: URL\r\n'
      case 'STARTTLS':
        return '502 unimplemented (#5.5.1)\r\n'
      case 'QUIT':
        exit = 0
        return `221 ${greeting}\r\n`
      case 'AUTH': {
        const [mechanism = '', initial = ''] = argument.split(' ')
        if (mechanism.toUpperCase() === 'PLAIN') {
          if (initial !== '') return plain(initial)
          asked = 'plain'
          return '334 \r\n'
        }
        if (mechanism.toUpperCase() !== 'LOGIN') return '504 authup auth type unimplemented (#5.5.1)\r\n'
        if (initial !== '') return loginUser(initial)
        asked = 'login-user'
        return '334 VXNlcm5hbWU6\r\n'
      }
      default:
        return '530 authup authentication required (#5.7.1)\r\n'
    }
  }
  const pop3 = (verb: string, argument: string): string => {
    switch (verb) {
      case 'CAPA':
        return '+OK capability list follows\r\nUSER\r\nTOP\r\nUIDL\r\n.\r\n'
      case 'NOOP':
        return '+OK \r\n'
      case 'STLS':
        return '-ERR STLS not available\r\n'
      case 'QUIT':
        exit = 0
        return '+OK \r\n'
      case 'USER':
        if (!isName(argument)) return words.malformed
        user = argument
        return '+OK \r\n'
      case 'PASS':
        if (user === undefined) return '-ERR authup USER first\r\n'
        return isSecret(argument) ? login(user, argument) : words.malformed
      default:
        return '-ERR authup authorization first\r\n'
    }
  }
  const answer = (line: string): string => {
    const was = asked
    asked = undefined
    if (was !== undefined) {
      if (line === '*' || line === '') return words.malformed
      if (was === 'plain') return plain(line)
      if (was === 'login-user') return loginUser(line)
      const password = line === '=' ? undefined : decoded(line)
      return password !== undefined && isSecret(password) ? login(user ?? '', password) : words.malformed
    }
    const [, word = '', argument = ''] = /^([^ ]*)(?: +(.*))?$/s.exec(line) ?? []
    const verb = word.replace(/[a-z]/g, (letter) => letter.toUpperCase())
    return protocol === 'smtp' ? smtp(verb, argument) : pop3(verb, argument)
  }
  steps.push({ send: '', expect: protocol === 'smtp' ? `220 ${greeting} ESMTP\r\n` : `+OK <PID.TIME@${greeting}>\r\n` })
  for (const line of lines) {
    if (exit !== undefined) break
    steps.push({ send: `${line}\r\n`, expect: answer(line) })
  }
  return { steps, exit, last: exit === undefined ? words.gone : '', log, given }
}
