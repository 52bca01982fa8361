// Works on a list, a few items at a time, and tells how far it is.
// Results keep the order of the items, whatever order they finish in.
import type { ProgressEvent, Steps } from '../base/events.ts';

/** At most one progress event in this many milliseconds. */
const PROGRESS_EVERY = 100;

/**
 * Calls `work` for every item with at most `workers` calls under way, and returns the results in the items' order.
 * The first failure stops the rest and is thrown; when the caller stops listening, no new item is begun.
 */
export async function* mapBounded<T, R>(
  items: readonly T[],
  workers: number,
  work: (item: T) => Promise<R>,
  progress: Pick<ProgressEvent, 'stage' | 'unit'>,
): Steps<R[]> {
  const results = new Array<R>(items.length);
  let next = 0;
  let done = 0;
  let stopped = false;
  let finished = false;
  let failure: { error: unknown } | undefined;
  let wake = () => {};
  const event = (): ProgressEvent => ({ type: 'progress', ...progress, done, total: items.length });
  const drain = async () => {
    while (!stopped && next < items.length) {
      const i = next++;
      results[i] = await work(items[i]!);
      done++;
      wake();
    }
  };
  yield event();
  const all = Promise.all(Array.from({ length: Math.min(workers, items.length) }, drain)).then(
    () => {
      finished = true;
      wake();
    },
    error => {
      stopped = true;
      failure ??= { error };
      wake();
    },
  );
  try {
    let told = performance.now();
    while (!finished && failure === undefined) {
      await new Promise<void>(resolve => {
        wake = resolve;
      });
      if (done === items.length || performance.now() - told < PROGRESS_EVERY) continue;
      told = performance.now();
      yield event();
    }
  } finally {
    stopped = true;
    await all;
  }
  if (failure !== undefined) throw (failure as { error: unknown }).error;
  if (items.length > 0) yield event();
  return results;
}
