// Opens a page in the browser of whoever asks for it.
import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import open from 'open';

/** Milliseconds after which a browser that has not ended is one that works. */
const PATIENCE = 1500;

/** Opens a file in the browser that there is; says why not where there is none, in words without a full stop. */
export async function openPage(file: string): Promise<string | null> {
  const patience = new AbortController();
  try {
    const browser = await open(file);
    // `open` lets go of it: nothing would keep this process alive until it is known what became of it.
    browser.ref();
    const ended = once(browser, 'exit') as Promise<[number | null]>;
    const [status] = await Promise.race([ended, wait(PATIENCE, [0] as const, patience)]);
    browser.unref();
    return status === 0 ? null : `the program that opens pages ended with status ${status}`;
  } catch (error) {
    return (error as Error).message;
  } finally {
    patience.abort();
  }
}
