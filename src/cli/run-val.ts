// Prints what graft val measured.
import type { ValResult } from '../project/val.ts';
import { type ValOptions, val } from '../project/val.ts';
import type { CommandCode } from './command-code.ts';
import { describeConfusion, NAME_WIDTH } from './confusion.ts';
import { paint } from './paint.ts';
import { runVerb } from './run-verb.ts';
import { formatBytes, formatTable, percent, printable, printJson, range, shorten } from './text.ts';

export const runVal: CommandCode = async (values, json) => {
  const result = await runVerb(val(values as unknown as ValOptions));
  if (json) printJson(result);
  else process.stdout.write(describeVal(result));
  return 0;
};

/** Most classes that have a line each; of more, those with photos and the lowest F1 have. */
const MAX_CLASSES = 20;

/** What `graft val` prints: the headline, figures per class, what is confused, and how far the model may be believed. */
export function describeVal(result: ValResult): string {
  const part = result.part === 'everything' ? '' : ` (its ${result.part} split)`;
  const seen = result.camera === 'none' ? '' : `, as the ${result.camera} camera sees them`;
  const left = result.excluded.length;
  return [
    `${paint('bold', `${percent(result.accuracy)} of ${result.images} photos`)} in ${printable(result.data)}${part} are right${seen};`,
    `of others like them ${range(result.interval)} would be (95 %).`,
    ...result.notes.map(note => paint('yellow', printable(note))),
    paint('dim', `${printable(result.model)}: ${result.precision}, ${formatBytes(result.size)}`),
    '',
    ...describeClasses(result),
    '',
    describeConfusion(result.classes, result.confusion),
    '',
    ...describeProbabilities(result),
    ...(result.rejection ? describeRejection(result.rejection) : []),
    ...(left > 0
      ? [`${left} ${left === 1 ? 'file was' : 'files were'} left out (--json lists them with the reason).`]
      : []),
    '',
  ].join('\n');
}

function describeClasses(result: ValResult): string[] {
  const curves = result.probability?.curves;
  const areaOf = (k: number) => curves?.[k]?.roc?.area.toFixed(3) ?? '-';
  const all = result.per_class.map((figures, k) => ({ figures, area: areaOf(k) }));
  const present = all.filter(({ figures }) => figures.images > 0);
  const shown =
    all.length > MAX_CLASSES ? present.sort((a, b) => a.figures.f1 - b.figures.f1).slice(0, MAX_CLASSES) : all;
  const mean = (name: string, { precision, recall, f1 }: ValResult['macro']) => [
    name,
    String(result.images),
    ...[precision, recall, f1].map(percent),
    '',
  ];
  const rows = shown.map(({ figures, area }) => [
    shorten(figures.class, NAME_WIDTH),
    String(figures.images),
    percent(figures.precision),
    percent(figures.recall),
    percent(figures.f1),
    area,
  ]);
  const table = formatTable(
    ['class', 'photos', 'precision', 'recall', 'F1', 'ROC AUC'],
    [...rows, mean('mean of classes', result.macro), mean('weighted by photos', result.weighted)],
  );
  const rest = all.length - shown.length;
  return rest > 0
    ? [table, `The ${shown.length} classes with photos and the lowest F1; --json has the other ${rest}.`]
    : [table];
}

function describeProbabilities({ probability, balanced_accuracy, accuracy }: ValResult): string[] {
  const balanced = `Balanced accuracy ${percent(balanced_accuracy)}`;
  if (!probability) return [`${balanced}. The model does not tell the probability of every class.`];
  const { top_k, log_loss, brier, calibration } = probability;
  const tops = Object.entries(top_k).map(([k, part]) => `${k} on ${percent(part)}`);
  const images = calibration.bins.reduce((sum, bin) => sum + bin.images, 0);
  const confidence = calibration.bins.reduce((sum, bin) => sum + bin.images * bin.confidence, 0) / images;
  return [
    `${balanced}; log-loss ${log_loss.toFixed(3)}; Brier score ${brier.toFixed(3)}.`,
    ...(tops.length > 0 ? [`The class is among its best ${tops.join(', ')}.`] : []),
    `Its probabilities are off by ${percent(calibration.ece)} on average (expected calibration error):`,
    `it is ${percent(confidence)} sure and right on ${percent(accuracy)}.`,
  ];
}

function describeRejection({
  below,
  images,
  accepted,
  precision,
  interval,
  none,
}: NonNullable<ValResult['rejection']>): string[] {
  const answered = `it answers ${accepted} of the ${images} photos`;
  const right =
    precision === null || interval === null
      ? ''
      : `\nand is right on ${percent(precision)} of these (${range(interval)})`;
  const strangers = none
    ? [
        `Of ${none.images} photos that are none of the classes it takes ${none.accepted} (${percent(none.accepted / none.images)}) for one.`,
      ]
    : [];
  return [`Saying "unknown" below ${below.toFixed(3)}, ${answered}${right}.`, ...strangers];
}
