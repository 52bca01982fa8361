// Prints what graft demo made, and what to do next with one's own photos.
import { type DemoOptions, demo } from '../project/demo.ts';
import type { CommandCode } from './command-code.ts';
import { describeTrain } from './run-train.ts';
import { runVerb } from './run-verb.ts';
import { printJson } from './text.ts';

export const runDemo: CommandCode = async (values, json) => {
  const result = await runVerb(demo(values as DemoOptions));
  if (json) {
    printJson(result);
    return 0;
  }
  const own = [
    `  open ${result.picture}   (the validation photos, with what the model says)`,
    '  npx graft train ./my-photos   (your own: one folder of photos per class)',
  ];
  process.stdout.write(`${describeTrain(result)}${own.join('\n')}\n`);
  return 0;
};
