// Starts work before its result is asked for, a bounded number of items ahead.

/**
 * @param ahead how many items are in work beside the one that is asked for.
 * @param work must not reject: it returns its errors.
 * @returns a function that gives the result of item i; ask in order, each item once.
 */
export function aheadOf<T, R>(
  items: readonly T[],
  ahead: number,
  work: (item: T) => Promise<R>,
): (i: number) => Promise<R> {
  const started = new Map<number, Promise<R>>();
  return async i => {
    for (let j = i; j < Math.min(items.length, i + ahead + 1); j++) {
      if (!started.has(j)) started.set(j, work(items[j]!));
    }
    const result = await started.get(i)!;
    started.delete(i);
    return result;
  };
}
