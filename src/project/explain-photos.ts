// Explains a trained network on photos, on all cores; and whether it looks at the background.

import { GraftError } from '../base/errors.ts';
import type { Steps } from '../base/events.ts';
import { startPool } from '../base/worker-pool.ts';
import { borderShare, type Explanation } from '../evaluate/explanation.ts';
import { argMax, measurePredictions } from '../evaluate/metrics.ts';
import { comparePaired } from '../evaluate/paired.ts';
import type { CameraChoice } from '../image/camera.ts';
import { writeOnnx } from '../onnx/write.ts';
import { buildEvidenceGraph } from '../zoo/evidence-graph.ts';
import type { Cover, ExplainAnswer, ExplainQuestion, ExplainSetup } from './explain-worker.ts';
import type { LabelledFile } from './proof.ts';
import type { UnreadPhoto } from './read-pixels.ts';
import type { TrainedNetwork } from './trained-run.ts';

/** How photos are looked at. */
export interface ExplainPhotosOptions {
  readonly camera: CameraChoice;
  readonly workers: number;
  /** Name of the progress. Default: explain. */
  readonly stage?: string;
}

/**
 * Explains photos, also with a part of them covered.
 * @param take what is kept of an explanation, which has maps of all classes: memory does not grow with them then.
 * @returns that, in the order of the photos.
 */
export async function* explainPhotos<T extends object>(
  { backbone, head, provenance }: TrainedNetwork,
  photos: readonly ExplainQuestion[],
  { camera, workers, stage = 'explain' }: ExplainPhotosOptions,
  take: (explanation: Explanation, index: number) => T | Promise<T>,
): Steps<readonly (T | UnreadPhoto)[]> {
  const { graph, maps } = buildEvidenceGraph(backbone, head);
  const module = new URL('./explain-worker.ts', import.meta.url);
  const pool = startPool<ExplainSetup, ExplainQuestion, ExplainAnswer>(module, Math.min(workers, photos.length));
  const answers = new Array<T | UnreadPhoto>(photos.length);
  try {
    pool.equip({ model: writeOnnx(graph), maps, preprocess: provenance.preprocess, camera });
    let done = 0;
    for await (const { index, answer } of pool.map(photos)) {
      answers[index] = 'reason' in answer ? answer : await take(answer.explanation, index);
      yield { type: 'progress', stage, done: ++done, total: photos.length, unit: 'photos' };
    }
    return answers;
  } finally {
    await pool.close();
  }
}

/** What covering parts of the photos does to a model. Parts are of the sides; figures in 0..1. */
export interface Background {
  readonly images: number;
  /** Mean part of the evidence for the predicted class that lies in the border, which is 49 % of the picture. */
  readonly border_share: number;
  readonly accuracy: number;
  readonly accuracy_without_middle: number;
  readonly accuracy_without_border: number;
  /** A sentence where the model goes by the border more than by the middle. */
  readonly note: string | null;
}

/** Most photos that are covered and looked at again. */
const MAX_PHOTOS = 200;

/** How much more of what is above chance the border alone must explain than the middle alone, and how likely chance is to do it. */
const MUCH_MORE = 0.15;
const UNLIKELY = 0.1;

/** How photos are looked at, in the order of the figures. */
const covers: readonly Cover[] = ['none', 'middle', 'border'];

/**
 * Finds out whether a model looks at the background: is it still right when the middle of every photo is covered, and when all
 * but the middle is? What is photographed is mostly in the middle. Recall is averaged over the classes, since a model that sees
 * nothing names one of them, which may be most photos'; and McNemar's test keeps a few photos from accusing a model.
 * @throws GraftError `bad-photo` when none of the photos can be read.
 */
export async function* measureBackground(
  network: TrainedNetwork,
  photos: readonly LabelledFile[],
  options: Pick<ExplainPhotosOptions, 'camera' | 'workers'>,
): Steps<Background> {
  const step = Math.max(1, photos.length / MAX_PHOTOS);
  const looked = photos.filter((_, i) => Math.floor(i / step) !== Math.floor((i - 1) / step));
  const questions = covers.flatMap(cover => looked.map(({ file }) => ({ file, cover })));
  const answers = yield* explainPhotos(network, questions, { ...options, stage: 'background' }, explanation => {
    const top = argMax(explanation.probabilities);
    return { top, share: borderShare(explanation, top) };
  });
  const read = looked.flatMap(({ label }, i) => {
    const said = covers.map((_, cover) => answers[cover * looked.length + i]!);
    return said.every(answer => 'top' in answer) ? [{ label, said }] : [];
  });
  if (read.length === 0) {
    throw new GraftError('bad-photo', `None of ${looked.length} photos could be read again.`, 'Put the photos back.');
  }
  const truth = read.map(({ label }) => label);
  const { classes } = network.provenance;
  const look = (cover: Cover) => {
    const tops = read.map(({ said }) => said[covers.indexOf(cover)]!.top);
    return { figures: measurePredictions(truth, tops, classes), right: tops.map((top, i) => top === truth[i]) };
  };
  const [whole, withoutMiddle, withoutBorder] = [look('none'), look('middle'), look('border')];
  const above = whole.figures.balanced_accuracy - 1 / classes.length;
  const more = withoutMiddle.figures.balanced_accuracy - withoutBorder.figures.balanced_accuracy;
  // One-sided: half of the two-sided probability, as the border does better.
  const chance = comparePaired(withoutBorder.right, withoutMiddle.right).p / 2;
  const isBackground = above > 0 && more > MUCH_MORE * above && chance < UNLIKELY;
  const percent = ({ figures }: ReturnType<typeof look>) => `${(100 * figures.accuracy).toFixed(0)} %`;
  return {
    images: read.length,
    border_share: read.reduce((sum, { said }) => sum + said[0]!.share, 0) / read.length,
    accuracy: whole.figures.accuracy,
    accuracy_without_middle: withoutMiddle.figures.accuracy,
    accuracy_without_border: withoutBorder.figures.accuracy,
    note: isBackground
      ? `The model looks at the background: with the middle of every photo covered it is right on ${percent(withoutMiddle)}, with all but the middle covered on ${percent(withoutBorder)} (uncovered: ${percent(whole)}). Unless what you photograph lies at the border, take photos of all classes in the same places.`
      : null,
  };
}
