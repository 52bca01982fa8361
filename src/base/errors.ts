// The one error class of graft: a code for programs, a sentence for people, a hint that says what to do.
// Anything else that reaches the command line is a defect in graft and is shown as such.

/** What went wrong, for programs. `exitStatus` says with which status the CLI ends. */
export type ErrorCode =
  | 'usage'
  | 'not-found'
  | 'exists'
  | 'empty-dataset'
  | 'too-few-classes'
  | 'too-few-photos'
  | 'bad-photo'
  | 'bad-dataset'
  | 'bad-model'
  | 'bad-weights'
  | 'bad-run'
  | 'bad-checkpoint'
  | 'no-device'
  | 'label-mismatch'
  | 'offline'
  | 'disk-full'
  | 'no-access'
  | 'unsupported-op'
  | 'proof-failed'
  | 'diverged'
  | 'interrupted';

/** An error that a user can act on: `message` says what was found and what was wanted, `hint` what to do. */
export class GraftError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, hint?: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'GraftError';
    this.code = code;
    this.hint = hint;
  }
}

/** Exit status for an error: 2 for a wrong command line, 130 after Ctrl-C, 1 otherwise. */
export function exitStatus(error: unknown): number {
  if (!(error instanceof GraftError)) return 1;
  if (error.code === 'usage') return 2;
  return error.code === 'interrupted' ? 130 : 1;
}

/**
 * Turns an operating-system error into a GraftError that names the path; errors of another kind come back unchanged.
 */
export function explainSystemError(error: unknown, path: string): unknown {
  const { code, syscall } = (error ?? {}) as NodeJS.ErrnoException;
  if (error instanceof GraftError || code === undefined || syscall === undefined) return error;
  const [kind, message, hint] =
    systemErrors[code] ?? (['no-access', 'cannot be read or written', 'Check it and try again.'] as const);
  return new GraftError(kind, `${path} ${message} (${code}).`, hint, error);
}

const full = [
  'disk-full',
  'could not be written: the disk is full',
  'Free some space and run the same command again.',
] as const;
const forbidden = ['no-access', 'may not be read or written', 'Choose a place that you may read and write.'] as const;

/** What the codes of operating systems mean to a person: the code of the error, the end of its sentence, what to do. */
const systemErrors: Readonly<Record<string, readonly [ErrorCode, string, string]>> = {
  ENOSPC: full,
  EDQUOT: full,
  EFBIG: full,
  EACCES: forbidden,
  EPERM: forbidden,
  EROFS: forbidden,
  ENOENT: ['not-found', 'does not exist', 'Check the path.'],
  ENOTDIR: ['not-found', 'goes through something that is no folder', 'Check the path.'],
  EEXIST: ['exists', 'is there already, and is no folder', 'Choose another name.'],
  EISDIR: ['no-access', 'is a folder, and a file was wanted', 'Name a file.'],
  ENAMETOOLONG: ['no-access', 'is too long a name', 'Choose a shorter one.'],
};
