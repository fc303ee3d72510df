/** Something wrong in a control file, for the person who has to correct it. Lines and columns count from 1, columns in octets. */
export interface ConfigError {
  readonly file: string
  readonly line: number
  readonly column: number
  /** What is wrong, a sentence without a full stop. */
  readonly problem: string
  /** What to write instead. */
  readonly hint: string
}

/** For a log line or a terminal. */
export const describeError = (error: ConfigError | undefined): string =>
  error === undefined ? '' : `${error.file}:${error.line}:${error.column}: ${error.problem}; ${error.hint}`
