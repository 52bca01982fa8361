// The one error class of graft: a code for programs, a sentence for people, a hint that says what to do.
// Anything else that reaches the command line is a defect in graft and is shown as such.

/** What went wrong, for programs. The CLI exits with status 2 for `usage` and 1 for every other code. */
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

/** Turns an operating-system error into a GraftError that names the path; other errors come back unchanged. */
export function explainSystemError(error: unknown, path: string): unknown {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EFBIG':
      return new GraftError(
        'disk-full',
        `The disk is full (${code}): ${path} could not be written.`,
        'Free some space and run the same command again; nothing half-written was left.',
        error,
      );
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new GraftError(
        'no-access',
        `No permission for ${path} (${code}).`,
        'Choose a folder that you may read and write.',
        error,
      );
    case 'ENOENT':
      return new GraftError('not-found', `${path} does not exist.`, 'Check the path.', error);
    default:
      return error;
  }
}
