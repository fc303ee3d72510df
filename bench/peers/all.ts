// The other mail servers. None is required: the table says which were absent.
import type { Bed } from '../bed.ts'
import type { Side } from '../side.ts'
import { postfixSide } from './postfix.ts'

export const peerSides = (bed: Bed): readonly Side[] => [postfixSide(bed)]
