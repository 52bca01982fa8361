// Prints what graft train made.
import { join } from 'node:path';
import type { ModelChoice } from '../project/auto-model.ts';
import { type TrainResult, train } from '../project/train.ts';
import type { TrainOptions } from '../project/train-options.ts';
import type { CommandCode } from './command-code.ts';
import { paint } from './paint.ts';
import { runVerb } from './run-verb.ts';
import { formatTable, percent, printJson } from './text.ts';

export const runTrain: CommandCode = async (values, json) => {
  const result = await runVerb(train(trainValues(values) as TrainOptions));
  if (json) printJson(result);
  else process.stdout.write(describeTrain(result));
  return 0;
};

/** Options as the library has them. commander says flip: true where nothing was said, since there is a --no-flip. */
export function trainValues({ flip, ...options }: Readonly<Record<string, unknown>>): object {
  return flip === false ? { ...options, flip } : options;
}

/** The end of a run, for a person. */
export function describeTrain(result: TrainResult): string {
  const { validation, proof, seconds, run, chosen_on: chosen } = result;
  const rows = validation.per_class.map(({ class: name, images, precision, recall }) => [
    name,
    String(result.counts.train?.[name] ?? 0),
    String(images),
    percent(precision),
    percent(recall),
  ]);
  const model = join(run, 'model.tflite');
  const camera = chosen.camera === 'none' ? '' : ` --camera ${chosen.camera}`;
  const parts = Object.entries(seconds)
    .filter(([part]) => part !== 'total')
    .map(([part, time]) => `${part.replace('_', '-')} ${time.toFixed(1)}`);
  return [
    ...(result.choice ? describeChoice(result.choice) : []),
    '',
    formatTable(['class', 'train', 'validation', 'precision', 'recall'], rows),
    '',
    ...describeValidation(result),
    describeCalibration(result.calibration),
    describeReject(result.reject),
    `${paint('green', 'Proven:')} LiteRT ran ${model} on the same photos: ${percent(proof.accuracy)} right, ` +
      `top class the same on ${percent(proof.top_class_agreement)}, largest difference ${proof.max_difference.toExponential(1)}.`,
    `${(result.size / 1e6).toFixed(1)} MB; ${proof.latency_ms.median.toFixed(1)} ms a photo in LiteRT here (WebAssembly, one thread).`,
    `${seconds.total.toFixed(1)} s: ${parts.join(', ')}.`,
    '',
    'Next:',
    `  npx graft predict ${model} photo.jpg`,
    `  npx graft val ${run} ./other-photos${camera}`,
    `  npx graft export ${run}`,
    '',
  ].join('\n');
}

/** The backbones that were tried, the best first. */
function describeChoice({ candidates, missing }: ModelChoice): string[] {
  const rows = candidates.map(({ name, latency_ms, megabytes, accuracy, chosen }) => [
    chosen ? `${name} (chosen)` : name,
    latency_ms.toFixed(1),
    megabytes.toFixed(1),
    accuracy === null ? 'beyond the limits' : percent(accuracy),
  ]);
  const table = formatTable(['backbone', 'ms a photo here', 'MB', 'right with a linear head'], rows);
  const rest = missing.length > 0 ? [`Not in the cache, and not tried: ${missing.join(', ')}.`] : [];
  return ['', table, ...rest];
}

/** How many validation photos are right; with a camera, also as it sees them, since that chose the epoch. */
function describeValidation(result: TrainResult): string[] {
  const { validation, chosen_on: chosen } = result;
  const right = `${percent(validation.accuracy)} of ${validation.images} validation photos are right`;
  const macro = `macro F1 ${percent(validation.macro_f1)}`;
  if (chosen.camera === 'none') return [`${paint('bold', right)} (${describeEpoch(result)}; ${macro}).`];
  const seen = `${percent(chosen.accuracy)} are right as the ${chosen.camera} camera sees them`;
  return [
    `${right} as they are (${macro}).`,
    `${paint('bold', seen)}, which chose the epoch (${describeEpoch(result)}).`,
  ];
}

function describeCalibration({ temperature, ece_before, ece_after }: TrainResult['calibration']): string {
  return (
    `Probabilities are off by ${percent(ece_after)} on average (expected calibration error; ${percent(ece_before)} before ` +
    `dividing the logits by the temperature ${temperature.toFixed(2)}).`
  );
}

function describeReject({ below, coverage, images, precision, interval }: TrainResult['reject']): string {
  if (below === 0) return 'It never says "unknown".';
  if (precision === null || interval === null) return `It says "unknown" to everything: no photo reaches ${below}.`;
  return (
    `It says "unknown" below ${below.toFixed(3)}: then ${percent(precision)} of its answers are right ` +
    `(${percent(interval.low)} to ${percent(interval.high)}, since they are ${Math.round(coverage * images)}), and it answers ` +
    `${percent(coverage)} of the photos.`
  );
}

/** Which epoch of which phase the model is of. */
function describeEpoch({ best_epoch, epochs, fine_tuning }: TrainResult): string {
  if (fine_tuning === null || fine_tuning.best_epoch === 0) return `head of epoch ${best_epoch} of ${epochs}`;
  const { best_epoch: epoch, epochs: tuned, head } = fine_tuning;
  return `fine-tuned for ${epoch} of ${tuned} epochs; ${percent(head.accuracy)} with the head alone`;
}
