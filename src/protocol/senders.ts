// Whether the sender that MAIL names is one of those that a user may use (control/senders).

import { lowerCase } from './bytes.ts'

/** Addresses in lower case; `*@example.org` means every address of that domain, `*` every one. */
export type Senders = readonly string[]

/** They cannot be found out now, and why. */
export interface NoAnswer {
  readonly unknown: string
}

/**
 * The path of `FROM:<ann@example.org> SIZE=1`, in lower case: empty for the null sender, undefined for what a mail program might read
 * otherwise: without brackets, with a source route, quotes, comments, blanks or two at signs.
 */
export function senderOf(argument: string): string | undefined {
  const path = /^from:[ \t]*<((?:[^\s<>()"\\,;:@]+(?:@[^\s<>()"\\,;:@]+)?)?)>(?:[ \t]|$)/i.exec(argument)?.[1]
  return path === undefined ? undefined : lowerCase(path)
}

/** Every user may give the null sender, which bounces have. */
export function maySend(senders: Senders, argument: string): boolean {
  const sender = senderOf(argument)
  if (sender === undefined) return senders.includes('*')
  return sender === '' || allows(senders, sender)
}

/** `address` is any spelling of one with a domain, or a local part. */
export function allows(senders: Senders, address: string): boolean {
  const sender = lowerCase(address)
  const domain = sender.slice(sender.lastIndexOf('@'))
  return senders.some((allowed) => allowed === '*' || allowed === sender || (domain !== '' && allowed === `*${domain}`))
}
