// Prints what graft predict said.
import { type PredictOptions, predict } from '../project/predict.ts';
import type { CommandCode } from './command-code.ts';
import { paintError } from './paint.ts';
import { runVerb } from './run-verb.ts';
import { formatTable, percent, printable, printJson } from './text.ts';

/** Exit status 1 when a photo could not be read, so that a script notices. */
export const runPredict: CommandCode = async (values, json) => {
  const result = await runVerb(predict(values as unknown as PredictOptions));
  if (json) {
    printJson(result.photos);
  } else if (result.predictions.length > 0) {
    const rows = result.predictions.map(({ file, label, known, best, probability }) => [
      file,
      known ? label : `${label} (${best}?)`,
      percent(probability),
    ]);
    const { camera } = result.predictions[0]!;
    const photo = camera === 'none' ? 'photo' : `photo, as the ${camera} camera sees it`;
    process.stdout.write(`${formatTable([photo, 'class', 'probability'], rows)}\n`);
  }
  for (const { file, error } of result.unread) {
    const said = error.startsWith(file) ? error : `${file}: ${error}`;
    process.stderr.write(`${paintError('red', 'graft:')} ${printable(said)}\n`);
  }
  return result.unread.length > 0 ? 1 : 0;
};
