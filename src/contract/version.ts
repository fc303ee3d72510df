// The version of acceptd and all its programs, as package.json has it.
export const VERSION = '0.1.0'
