// cdb, D. J. Bernstein's constant database (cr.yp.to/cdb/cdb.txt): key to data, in a file that is replaced as a whole.
//
//   256 times (position of a table, its slots), then records (length of key, of data, key, data), then the tables (hash, position of a record);
//   every number is 32 bits, the lowest first
//
// A lookup opens the file, so that it finds what is there now, and reads a few octets here and there, whatever the file's size.

import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { err, ok, type Result } from 'neverthrow'
import { bytesOf, textOf } from '../protocol/bytes.ts'

/** Tables are half empty: one has a few slots in a row that are not. */
const MOST_SLOTS = 1000
export const MOST_DATA = 65_536
const NUMBERS = 8

/** The data of the first of these keys that is there, in latin1; undefined if none is. The error says why the file cannot be used. */
export function lookUp(file: string, keys: readonly string[]): Result<string | undefined, string> {
  let fd: number | undefined
  try {
    // Opening a FIFO would wait for somebody who writes to it.
    fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
    if (!fstatSync(fd).isFile()) return err('it is not a regular file')
    for (const key of keys) {
      const data = find(fd, bytesOf(key))
      if (data !== undefined) return ok(textOf(data))
    }
    return ok(undefined)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return err(code ?? message)
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}

function find(fd: number, key: Uint8Array): Uint8Array | undefined {
  const hash = hashOf(key)
  const [table, slots] = numbersAt(fd, (hash & 255) * NUMBERS)
  for (let tried = 0; tried < slots; tried++) {
    if (tried === MOST_SLOTS) throw new Error('it is no cdb: a table has no empty slot')
    const [found, position] = numbersAt(fd, table + (((hash >>> 8) + tried) % slots) * NUMBERS)
    if (position === 0) return undefined
    if (found !== hash) continue
    const [keyLength, dataLength] = numbersAt(fd, position)
    if (keyLength !== key.length) continue
    if (dataLength > MOST_DATA) throw new Error(`it has a record of more than ${MOST_DATA} octets`)
    const record = octetsAt(fd, position + NUMBERS, keyLength + dataLength)
    if (key.every((octet, i) => record[i] === octet)) return record.subarray(keyLength)
  }
  return undefined
}

function hashOf(key: Uint8Array): number {
  let hash = 5381
  for (const octet of key) hash = (((hash << 5) + hash) ^ octet) >>> 0
  return hash
}

function numbersAt(fd: number, position: number): readonly [number, number] {
  const octets = octetsAt(fd, position, NUMBERS)
  const view = new DataView(octets.buffer, octets.byteOffset, NUMBERS)
  return [view.getUint32(0, true), view.getUint32(4, true)]
}

function octetsAt(fd: number, position: number, length: number): Uint8Array {
  const octets = new Uint8Array(length)
  if (length > 0 && readSync(fd, octets, 0, length, position) !== length)
    throw new Error('it is no cdb: it ends too early')
  return octets
}
