// The folder of one run: runs/train, runs/train2, ... A name that the user chose is never changed behind their back.
import { mkdir, readdir, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { explainSystemError, GraftError } from '../base/errors.ts';

/** Where a run goes. */
export interface RunFolderOptions {
  /** Folder that holds the runs; default `runs`. */
  readonly project: string;
  /** Name of the run; without one, the first free of train, train2, train3 ... */
  readonly name?: string | undefined;
  /** Write into a named folder that exists. */
  readonly existOk: boolean;
}

/** Files of a run, by what they hold. */
export const runFiles = {
  tflite: 'model.tflite',
  onnx: 'model.onnx',
  labels: 'labels.txt',
  results: 'results.csv',
  metrics: 'metrics.json',
  manifest: 'manifest.json',
  args: 'args.json',
  weights: 'weights',
  tensorboard: 'tensorboard',
  /** The page of graft report. */
  report: 'report.html',
  /** What graft export made, measured. */
  exports: 'exports.json',
  /** Labels as the robot's own program wants them. */
  robotLabels: 'robot-labels.txt',
} as const;

/** The files that graft export makes, model.tflite among them. */
const exportedName = /^(model|detector)(-(float16|dynamic|int8))?(-uint8)?\.tflite$/;

/**
 * Makes the folder of a new run and returns its path.
 * @throws GraftError `exists` when the named folder holds something and `existOk` is not set.
 */
export async function makeRunFolder(options: RunFolderOptions, base: string): Promise<string> {
  const { project, name } = options;
  try {
    await mkdir(project, { recursive: true });
    if (name !== undefined) {
      const folder = join(project, name);
      if (!options.existOk && !(await isFree(folder))) {
        throw new GraftError(
          'exists',
          `The run folder ${folder} exists.`,
          `Choose another --name, go on with it by --resume ${folder}, or add --exist-ok to write into it anew.`,
        );
      }
      await mkdir(folder, { recursive: true });
      return folder;
    }
    for (let number = 1; ; number++) {
      const folder = join(project, number === 1 ? base : `${base}${number}`);
      try {
        await mkdir(folder);
        return folder;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
    }
  } catch (error) {
    throw explainSystemError(error, name === undefined ? project : join(project, name));
  }
}

/**
 * Takes what another run made out of the folder, so that nothing of it can be taken for this one's: metrics.json marks a
 * finished run, args.json one that can go on.
 */
export async function clearRunFolder(folder: string): Promise<void> {
  const { metrics, args, weights, tensorboard, exports, report, robotLabels } = runFiles;
  const exported = (await readdir(folder)).filter(name => exportedName.test(name));
  for (const name of [metrics, args, weights, tensorboard, exports, report, robotLabels, ...exported]) {
    await rm(join(folder, name), { recursive: true, force: true });
  }
}

/** Takes away what processes that were killed had begun to write. */
export async function dropUnfinishedFiles(folder: string): Promise<void> {
  for (const name of await readdir(folder, { recursive: true })) {
    if (isUnfinished(name)) await rm(join(folder, name), { force: true });
  }
}

/** Takes away what processes that were killed had begun to write into `folder` under these names. */
export async function dropUnfinishedOf(folder: string, names: readonly string[]): Promise<void> {
  for (const name of await readdir(folder)) {
    if (isUnfinished(name) && names.some(whole => name.startsWith(`${whole}.part-`))) await rm(join(folder, name));
  }
}

/** Takes a run folder away again if nothing was written into it. */
export async function dropEmptyRunFolder(folder: string): Promise<void> {
  await rmdir(folder).catch(() => {});
}

/** The names under which `writeWhole` writes. */
function isUnfinished(name: string): boolean {
  return /\.part-\d+-\d+$/.test(name);
}

/** Free is a folder that is not there, is empty, or holds nothing but the beginnings of a run that did not finish. */
async function isFree(folder: string): Promise<boolean> {
  try {
    // Not its weights: what was trained is lost only where somebody says so.
    const kept: readonly string[] = [runFiles.metrics, runFiles.weights];
    const ours = Object.values(runFiles).filter(name => !kept.includes(name)) as readonly string[];
    return (await readdir(folder)).every(name => ours.includes(name) || isUnfinished(name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return true;
    throw error;
  }
}
