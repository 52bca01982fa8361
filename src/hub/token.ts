// The user's token of the Hub: from the environment, else where `hf auth login` of Python's huggingface_hub stored it.
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { explainSystemError, GraftError } from '../base/errors.ts';

/**
 * HF_TOKEN, else the content of the file HF_TOKEN_PATH, which is `token` in HF_HOME by default; undefined where there is none.
 * @throws GraftError `usage` for what is no token, `no-access` for a file that cannot be read.
 */
export async function readToken(): Promise<string | undefined> {
  const set = process.env.HF_TOKEN?.trim();
  if (set) return checkToken(set, 'HF_TOKEN is no', 'remove HF_TOKEN');
  const file = tokenFile();
  const stored = (await readStored(file)).trim();
  return stored ? checkToken(stored, `${file} holds no`, 'run hf auth logout') : undefined;
}

/** HF_HOME is ~/.cache/huggingface, or huggingface in XDG_CACHE_HOME. */
function tokenFile(): string {
  const { HF_TOKEN_PATH, HF_HOME, XDG_CACHE_HOME } = process.env;
  const path = HF_TOKEN_PATH || join(HF_HOME || join(XDG_CACHE_HOME || '~/.cache', 'huggingface'), 'token');
  return path.replace(/^~(?=[\\/]|$)/, homedir);
}

async function readStored(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return '';
    throw explainSystemError(error, file);
  }
}

/** The message does not repeat what was found. */
function checkToken(token: string, found: string, remove: string): string {
  if (/^hf_[\w-]+$/.test(token)) return token;
  throw new GraftError(
    'usage',
    `${found} token of the Hub: those begin with hf_.`,
    `Copy the token from the settings of your account on the Hub, or ${remove}: most models need none.`,
  );
}
