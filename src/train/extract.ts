// Extraction: a frozen graph runs once per photo and view; what is in the cache is not computed again.
import { GraftError } from '../base/errors.ts';
import type { Steps } from '../base/events.ts';
import { mapInWorkers } from '../base/worker-pool.ts';
import type { Augmentation } from '../image/augment.ts';
import type { Preprocess } from '../image/preprocess.ts';
import type { PhotoView } from '../image/render-photo-view.ts';
import type { ExtractAnswer, ExtractQuestion, ExtractSetup } from './extract-worker.ts';
import { type RecordCache, recordKey } from './record-cache.ts';

/** A photo to extract: its file, its content and the views of it that are wanted. */
export interface ExtractPhoto {
  readonly file: string;
  readonly sha256: string;
  readonly views: readonly PhotoView[];
}

/** What extraction reads. */
export interface ExtractOptions {
  /** What the progress is called. */
  readonly stage: string;
  readonly photos: readonly ExtractPhoto[];
  /** Cache of records that hold the outputs side by side. */
  readonly cache: Pick<RecordCache, 'has' | 'add'>;
  /**
   * Gives the frozen graph as an ONNX file with the input `image`. Called only if needed. Without it, what views are
   * rendered of is kept: a photo's pixels, or its frame (decodeFrame) where a camera sees it.
   */
  readonly makeGraph?: () => Uint8Array;
  /** Outputs of the graph that are kept. */
  readonly outputs: readonly string[];
  readonly preprocess: Preprocess;
  readonly augmentation: Augmentation;
  /** Threads that decode, render and run the graph. */
  readonly workers: number;
}

/** What extraction did. */
export interface Extraction {
  /** Views computed now and views found in the cache. */
  readonly computed: number;
  readonly cached: number;
  /** Photos that could not be decoded, with the reason. */
  readonly failed: readonly { readonly file: string; readonly reason: string }[];
}

/** Grows whenever the same photo, view and settings may give other features: decoding, rendering or pooling has changed. */
const FEATURE_VERSION = 1;

/**
 * Key of what a frozen graph, or none, makes of a view of a photo. A view depends on the photo's content, on the augmentation
 * and on the camera, not on the run's seed, so that runs share views. Without a camera the key does not name it.
 */
export function viewKey(
  sha256: string,
  { number, camera }: PhotoView,
  preprocess: Preprocess,
  augmentation: Augmentation,
): string {
  const seenBy = camera === 'none' ? [] : [camera];
  return recordKey(FEATURE_VERSION, sha256, number, preprocess, number === 0 ? null : augmentation, ...seenBy);
}

/** Fills the cache with the records of all views of all photos. */
export async function* extractViews(options: ExtractOptions): Steps<Extraction> {
  const { cache, photos, preprocess, augmentation } = options;
  const keyOf = (sha256: string, view: PhotoView) => viewKey(sha256, view, preprocess, augmentation);
  const questions: ExtractQuestion[] = [];
  let cached = 0;
  for (const { file, sha256, views } of photos) {
    const missing = views.filter(view => !cache.has(keyOf(sha256, view)));
    cached += views.length - missing.length;
    if (missing.length > 0) questions.push({ file, sha256, views: missing });
  }
  let done = photos.length - questions.length;
  const progress = () =>
    ({ type: 'progress', stage: options.stage, done, total: photos.length, unit: 'photos' }) as const;
  yield progress();
  let computed = 0;
  const failed: { file: string; reason: string }[] = [];
  if (questions.length > 0) {
    const graph = options.makeGraph?.();
    const setup: ExtractSetup = { graph, outputs: options.outputs, preprocess, augmentation };
    const module = new URL('./extract-worker.ts', import.meta.url);
    const answers = mapInWorkers<ExtractSetup, ExtractQuestion, ExtractAnswer>(
      module,
      setup,
      questions,
      options.workers,
    );
    for await (const { index, answer } of answers) {
      const { file, sha256, views } = questions[index]!;
      if ('infinite' in answer) throw explainInfinite(file, answer.infinite);
      if ('reason' in answer) {
        failed.push({ file, reason: answer.reason });
      } else {
        for (const [i, view] of views.entries()) await cache.add(keyOf(sha256, view), answer.records[i]!);
        computed += views.length;
      }
      done++;
      yield progress();
    }
  }
  return { computed, cached, failed };
}

/** The network's answer to a photo cannot be used. */
function explainInfinite(file: string, output: string): GraftError {
  const isHalf = output !== 'features';
  return new GraftError(
    'diverged',
    isHalf
      ? `Behind the frozen stages the network has numbers for ${file} that are too large for the cache (float16).`
      : `The network has no finite features for ${file}.`,
    isHalf
      ? 'Add --cut-views 0, which caches none of them, or freeze fewer or more stages (--freeze).'
      : 'Its weights are damaged, or it wants its pixels in another way (--pixels).',
  );
}
