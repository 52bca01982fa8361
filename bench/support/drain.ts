// Runs a part of a verb to its end.
import type { Steps } from '../../src/base/events.ts';

/** What the steps return; their events are dropped. */
export async function drain<R>(steps: Steps<R>): Promise<R> {
  let step = await steps.next();
  while (!step.done) step = await steps.next();
  return step.value;
}
