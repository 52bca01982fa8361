// Runs a verb for the terminal: shows its events, stops it cleanly at Ctrl-C, and returns its result.
import { GraftError } from '../base/errors.ts';
import type { VerbEvent } from '../base/events.ts';
import { makeShow } from './show.ts';

/**
 * Runs `verb` to its end. The first Ctrl-C or SIGTERM lets it close its files and throws `interrupted`; the second one
 * ends the process at once.
 */
export async function runVerb<R>(verb: AsyncGenerator<VerbEvent<R>>): Promise<R> {
  const show = makeShow();
  let interrupted = false;
  let run: string | undefined;
  const interrupt = () => {
    if (interrupted) process.exit(130);
    interrupted = true;
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  try {
    for await (const event of verb) {
      if (event.type === 'result') return event.result;
      if (event.type === 'resumable') run = event.run;
      else show.event(event);
      if (interrupted) break;
    }
  } finally {
    show.end();
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
  }
  throw new GraftError(
    'interrupted',
    'Stopped.',
    run === undefined
      ? 'What was computed so far is kept: the same command goes on from there.'
      : `What was done so far is kept. Go on exactly from there: graft train --resume ${run}`,
  );
}
