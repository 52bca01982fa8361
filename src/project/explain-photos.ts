// Explains a trained network on photos, on all cores; and whether it looks at the background.

import type { Steps } from '../base/events.ts';
import { startPool } from '../base/worker-pool.ts';
import { borderShare, type Explanation } from '../evaluate/explanation.ts';
import { argMax } from '../evaluate/metrics.ts';
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

/** Explains photos, in their order, also with a part of them covered. */
export async function* explainPhotos(
  { backbone, head, provenance }: TrainedNetwork,
  photos: readonly ExplainQuestion[],
  { camera, workers, stage = 'explain' }: ExplainPhotosOptions,
): Steps<readonly (Explanation | UnreadPhoto)[]> {
  const { graph, maps } = buildEvidenceGraph(backbone, head);
  const module = new URL('./explain-worker.ts', import.meta.url);
  const pool = startPool<ExplainSetup, ExplainQuestion, ExplainAnswer>(module, Math.min(workers, photos.length));
  const answers = new Array<Explanation | UnreadPhoto>(photos.length);
  try {
    pool.equip({ model: writeOnnx(graph), maps, preprocess: provenance.preprocess, camera });
    let done = 0;
    for await (const { index, answer } of pool.map(photos)) {
      answers[index] = 'reason' in answer ? answer : answer.explanation;
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

/** How much more of what is above chance the border alone must explain than the middle alone. */
const MUCH_MORE = 0.15;

/**
 * Finds out whether a model looks at the background: is it still right when the middle of every photo is covered, and when all
 * but the middle is? What is photographed is mostly in the middle.
 */
export async function* measureBackground(
  network: TrainedNetwork,
  photos: readonly LabelledFile[],
  options: Pick<ExplainPhotosOptions, 'camera' | 'workers'>,
): Steps<Background> {
  const step = Math.max(1, photos.length / MAX_PHOTOS);
  const looked = photos.filter((_, i) => Math.floor(i / step) !== Math.floor((i - 1) / step));
  const covers: readonly Cover[] = ['none', 'middle', 'border'];
  const questions = covers.flatMap(cover => looked.map(({ file }) => ({ file, cover })));
  const answers = yield* explainPhotos(network, questions, { ...options, stage: 'background' });
  let share = 0;
  let images = 0;
  const [accuracy, withoutMiddle, withoutBorder] = covers.map((cover, k) => {
    let right = 0;
    images = 0;
    looked.forEach(({ label }, i) => {
      const answer = answers[k * looked.length + i]!;
      if ('reason' in answer) return;
      const top = argMax(answer.probabilities);
      images++;
      if (top === label) right++;
      if (cover === 'none') share += borderShare(answer, top);
    });
    return right / Math.max(1, images);
  }) as [number, number, number];
  const chance = 1 / network.provenance.classes.length;
  const kept = (part: number) => (part - chance) / Math.max(0.01, accuracy - chance);
  const percent = (part: number) => `${(100 * part).toFixed(0)} %`;
  const isBackground = accuracy > chance && kept(withoutMiddle) - kept(withoutBorder) > MUCH_MORE;
  return {
    images,
    border_share: share / Math.max(1, images),
    accuracy,
    accuracy_without_middle: withoutMiddle,
    accuracy_without_border: withoutBorder,
    note: isBackground
      ? `The model looks at the background: with the middle of every photo covered it is right on ${percent(withoutMiddle)}, with all but the middle covered on ${percent(withoutBorder)} (uncovered: ${percent(accuracy)}). Take photos of all classes in the same places.`
      : null,
  };
}
