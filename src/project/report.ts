// graft report: a run as one page that people look at: how good it is, how sure it may be, what it looks at, where it fails.
import { join, resolve } from 'node:path';
import type { VerbEvent } from '../base/events.ts';
import { writeWhole } from '../base/files.ts';
import { type CameraChoice, cameraChoices } from '../image/camera.ts';
import { collectReport } from './collect-report.ts';
import { defaultWorkers } from './defaults.ts';
import { openPage } from './open-page.ts';
import { pickName } from './pick-name.ts';
import { runFiles } from './run-folder.ts';
import { checkRanges } from './setting-ranges.ts';

/** Options of `report`. */
export interface ReportOptions {
  /** A finished run. */
  readonly run: string;
  /** A labelled folder to examine it on. Default: the run's test photos, else its validation photos. */
  readonly data?: string;
  /** The page. Default: report.html in the run folder. */
  readonly output?: string;
  /** Open it in the browser. Default: false. */
  readonly open?: boolean;
  /** The robot's camera, through which the photos are seen. Default: none. */
  readonly camera?: CameraChoice;
  /** Threads. Default: the machine's cores, at most 8. */
  readonly workers?: number;
}

/** Result of `report`. */
export interface ReportResult {
  readonly page: string;
  readonly bytes: number;
  readonly images: number;
  readonly accuracy: number;
  /** Photos that found no room in the page. */
  readonly left_out: number;
  /** Why the browser was not opened; null when it was, or nobody asked. */
  readonly not_opened: string | null;
}

/**
 * Examines a run anew and writes the page, one file without a network.
 * @throws GraftError `bad-photo` where the run's photos have changed or gone, and what `openTrainedRun` throws.
 */
export async function* report(options: ReportOptions): AsyncGenerator<VerbEvent<ReportResult>> {
  checkRanges(options);
  const camera = pickName('camera', options.camera ?? 'none', cameraChoices);
  const workers = options.workers ?? defaultWorkers();
  const data = yield* collectReport({ run: options.run, data: options.data, camera, workers });
  // What draws pages takes 0.2 s to load, which the library's other verbs need not wait for.
  const { renderReport } = await import('./report-page.tsx');
  const { html, leftOut } = yield* renderReport(data);
  const page = options.output ?? join(options.run, runFiles.report);
  await writeWhole(page, html);
  const { images, accuracy } = data.evaluated.figures;
  const not_opened = options.open ? await openPage(resolve(page)) : null;
  const bytes = Buffer.byteLength(html);
  yield { type: 'result', result: { page, bytes, images, accuracy, left_out: leftOut, not_opened } };
}
