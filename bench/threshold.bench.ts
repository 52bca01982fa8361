// Which rule for the threshold of "unknown" keeps what it promises: on halves of photos that training has not seen, chosen on the
// one and examined on the other, again and again. Beside it the calibration error of the same halves, and the one that a model
// without any would show on so few photos.
//
//   node --import tsx bench/threshold.bench.ts PHOTOS WEIGHTS.gguf [--seeds 0,1,2,3,4] [--runs FOLDER]
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { makeRng } from '../src/base/rng.ts';
import { applyTemperature, fitTemperature, measureCalibration } from '../src/evaluate/calibration.ts';
import { wilson } from '../src/evaluate/intervals.ts';
import { argMax } from '../src/evaluate/metrics.ts';
import { openClassifier } from '../src/project/open-classifier.ts';
import { predictPhotos } from '../src/project/predict-photos.ts';
import { drain } from './support/drain.ts';
import { trainHeldOut } from './support/held-out-run.ts';
import { saveResults } from './support/save-results.ts';
import { mean, numbers, round } from './support/statistics.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seeds: { type: 'string', default: '0,1,2,3,4' }, runs: { type: 'string' } },
});
const [photos, weights] = positionals as [string, string];
if (!photos || !weights) throw new Error('Usage: threshold.bench.ts PHOTOS WEIGHTS.gguf');
const work = mkdtempSync(join(tmpdir(), 'graft-threshold-'));
const runs = values.runs ?? join(work, 'runs');
const HALVES = 100;

interface Answer {
  readonly sure: number;
  readonly isRight: boolean;
}

/** The lowest probability at which `holds` of the numbers of accepted and right photos and their probabilities' sum. */
function lowest(answers: readonly Answer[], holds: (accepted: number, right: number, sum: number) => boolean): number {
  let [right, sum, below] = [0, 0, 1.01];
  [...answers]
    .sort((a, b) => b.sure - a.sure)
    .forEach(({ sure, isRight }, i) => {
      right += isRight ? 1 : 0;
      sum += sure;
      if (holds(i + 1, right, sum)) below = sure;
    });
  return below;
}

const rules: Readonly<Record<string, (answers: readonly Answer[], wanted: number) => number>> = {
  'right photos are counted': (answers, wanted) => lowest(answers, (n, right) => right / n >= wanted),
  'mean of the probabilities': (answers, wanted) => lowest(answers, (n, _, sum) => sum / n >= wanted),
  both: (answers, wanted) => lowest(answers, (n, right, sum) => Math.min(right, sum) / n >= wanted),
  'the probability itself': (_, wanted) => wanted,
};

const found = new Map<string, number[]>();
const note = (name: string, value: number) => found.set(name, [...(found.get(name) ?? []), value]);
for (const seed of numbers(values.seeds)) {
  const { run, manifest, data } = await trainHeldOut(photos, {
    seed,
    runs,
    weights,
    words: ['--fine-tune-epochs', '0'],
  });
  const classifier = await openClassifier(run);
  const unseen = manifest.photos.filter(({ split }) => split !== 'train');
  const files = unseen.map(({ path }) => resolve(data, path));
  const said = (await drain(
    predictPhotos(classifier, files, { camera: 'none', workers: 2, stage: 'ask' }),
  )) as Float32Array[];
  const { temperature = 1 } = classifier.provenance!;
  const plain = said.map(row => applyTemperature(row, 1 / temperature));
  const labels = unseen.map(photo => manifest.classes.indexOf(photo.class));
  const rng = makeRng(seed, 'halves');
  for (let i = 0; i < HALVES; i++) {
    const order = labels.map((_, k) => k);
    rng.shuffle(order);
    const [first, second] = [order.slice(0, order.length >> 1), order.slice(order.length >> 1)];
    const pick = (list: readonly number[], rows: readonly Float32Array[]) => ({
      classes: manifest.classes,
      truth: list.map(k => labels[k]!),
      probabilities: list.map(k => rows[k]!),
    });
    const scaled = plain.map(row => applyTemperature(row, fitTemperature(pick(first, plain))));
    const answers = (list: readonly number[]) =>
      list.map((k): Answer => {
        const top = argMax(scaled[k]!);
        return { sure: scaled[k]![top]!, isRight: top === labels[k] };
      });
    const examined = pick(second, scaled);
    note('ece', measureCalibration(examined).ece);
    // The same probabilities, and what happens is drawn with them.
    const truth = examined.probabilities.map(row => {
      const top = argMax(row);
      return rng.uniform(0, 1) < row[top]! ? top : (top + 1) % row.length;
    });
    note('ece of a perfect model', measureCalibration({ ...examined, truth }).ece);
    for (const wanted of [0.99, 0.95]) {
      for (const [name, rule] of Object.entries(rules)) {
        const below = rule(answers(first), wanted);
        const accepted = answers(second).filter(({ sure }) => sure >= below);
        const right = accepted.filter(({ isRight }) => isRight).length;
        note(`${wanted} ${name}: coverage`, accepted.length / second.length);
        if (accepted.length === 0) continue;
        note(`${wanted} ${name}: precision`, right / accepted.length);
        note(`${wanted} ${name}: interval holds it`, wilson(right, accepted.length).high >= wanted ? 1 : 0);
      }
    }
  }
}
const rows = [0.99, 0.95].flatMap(wanted =>
  Object.keys(rules).map(rule => {
    const of = (figure: string) => round(mean(found.get(`${wanted} ${rule}: ${figure}`)!), 3);
    return {
      wanted,
      rule,
      precision: of('precision'),
      coverage: of('coverage'),
      interval_holds_it: of('interval holds it'),
    };
  }),
);
console.table(rows);
const calibration = {
  ece: round(mean(found.get('ece')!), 4),
  ece_of_a_perfect_model: round(mean(found.get('ece of a perfect model')!), 4),
};
console.log(JSON.stringify(calibration));
rmSync(work, { recursive: true });
saveResults('threshold', { rows, calibration });
