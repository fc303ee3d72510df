// HTTP that a browser or a proxy was made to send to a mail port, where its headers or its body would be taken for commands line by line.
import { type Command, splitCommand } from './command.ts'

/** Methods of RFC 9110 section 9 and RFC 5789; none is a verb of SMTP or POP3. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE'])

/** RFC 9112 section 3: method SP request-target SP HTTP-version. */
const REQUEST = /^\S+[ \t]+HTTP\/\d(?:\.\d)?$/i

/** An unknown verb: does it begin an HTTP request? */
export const isHttpRequest = ({ verb, argument }: Command): boolean => METHODS.has(verb) || REQUEST.test(argument)

/** The same of a line that is too long to be looked at; `begin` is its first 16 octets or more. */
export const beginsHttpRequest = (begin: string): boolean => METHODS.has(splitCommand(begin).verb)
