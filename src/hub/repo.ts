// Names on the Hub: repositories, revisions and files, checked before they go into addresses and paths.
import { GraftError } from '../base/errors.ts';

/** A repository of one kind. */
export interface HubRepo {
  readonly type: 'model';
  /** owner/name. */
  readonly name: string;
}

/** A branch, a tag or a commit. */
export const DEFAULT_REVISION = 'main';

const PART = /^[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9_])?$/;
/** Of owner and name together, as the Hub has it. */
const MAX_NAME = 96;

/**
 * The repository and revision of a text like `owner/name` or `owner/name@revision`.
 * @throws GraftError `usage`.
 */
export function parseRepo(type: HubRepo['type'], text: string): { repo: HubRepo; revision: string } {
  const at = text.indexOf('@');
  const name = at < 0 ? text : text.slice(0, at);
  const revision = at < 0 ? DEFAULT_REVISION : text.slice(at + 1);
  if (!isRepoName(name)) {
    throw new GraftError(
      'usage',
      `"${name}" is not the name of a ${type} on the Hub.`,
      'Name it as its page does: owner/name, or owner/name@revision for a branch, a tag or a commit.',
    );
  }
  checkRevision(revision);
  return { repo: { type, name }, revision };
}

/** Whether a text is owner/name, as the Hub has it. */
export function isRepoName(text: string): boolean {
  const parts = text.split('/');
  const isPart = (part: string) => PART.test(part) && !/--|\.\./.test(part);
  return text.length <= MAX_NAME && parts.length === 2 && parts.every(isPart);
}

/** Whether a revision is a whole commit hash, which always means the same files. */
export const isCommit = (revision: string): boolean => /^[0-9a-f]{40}$/.test(revision);

function checkRevision(revision: string): void {
  const isSafe = revision.length <= 200 && revision.split('/').every(part => PART.test(part) && !part.includes('..'));
  if (isSafe) return;
  throw new GraftError(
    'usage',
    `"${revision}" is not the name of a branch, a tag or a commit.`,
    'Leave @ and what follows it out to use the newest version.',
  );
}
