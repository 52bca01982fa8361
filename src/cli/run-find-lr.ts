// Prints what graft find-lr found: the loss along the rates, and the rate to take.
import { type FindLrOptions, findLr } from '../project/find-lr.ts';
import type { CommandCode } from './command-code.ts';
import { paint } from './paint.ts';
import { trainValues } from './run-train.ts';
import { runVerb } from './run-verb.ts';
import { formatTable, printJson } from './text.ts';

/** Rows of the table. */
const ROWS = 16;

export const runFindLr: CommandCode = async (values, json) => {
  const result = await runVerb(findLr(trainValues(values) as FindLrOptions));
  if (json) {
    printJson(result);
    return 0;
  }
  const { trials, steepest, suggestion } = result;
  const every = Math.max(1, Math.ceil(trials.length / ROWS));
  const rows = trials
    .filter((_, i) => i % every === 0 || i === trials.length - 1)
    .map(({ rate, loss }) => [rate.toExponential(1), loss.toFixed(3)]);
  const fastest = steepest === null ? '' : ` The loss falls fastest at ${steepest.toExponential(1)}.`;
  process.stdout.write(
    `\n${formatTable(['rate', 'loss'], rows)}\n\n` +
      `${paint('bold', `--fine-tune-lr ${suggestion.toPrecision(1)}`)} is a third of the rate with the lowest loss.${fastest}\n`,
  );
  return 0;
};
