// Resuming: a run that was cut off goes on with the settings that it was started with.
import { readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { explainSystemError, GraftError } from '../base/errors.ts';
import { pickFields } from '../base/pick-fields.ts';
import type { ModelChoice } from './auto-model.ts';
import { isModelFile } from './open-backbone.ts';
import { runFiles } from './run-folder.ts';
import { resolveTrainOptions, type TrainingJob, type TrainOptions, type TrainSettings } from './train-options.ts';

/** Settings that may change without changing what is trained. */
const free: ReadonlySet<keyof TrainOptions> = new Set([
  'resume',
  'workers',
  'threads',
  'saveEvery',
  'tensorboard',
  'offline',
]);

/** Settings that are paths: args.json has them in full. */
const paths: ReadonlySet<keyof TrainOptions> = new Set(['data', 'weights', 'manifest']);

/** A setting as args.json has it. */
function inFull(name: keyof TrainOptions, value: string): string {
  return paths.has(name) || (name === 'model' && isModelFile(value)) ? resolve(value) : value;
}

/**
 * The job that goes on with the run in `options.resume`.
 * @throws GraftError `bad-run` when there is nothing to go on with, `usage` that lists the settings that were changed.
 */
export async function resumeRun(options: TrainOptions): Promise<TrainingJob> {
  const folder = options.resume!;
  const { options: said, model, choice } = await readStart(folder);
  const given = Object.fromEntries(
    Object.entries(options)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [name, inFull(name as keyof TrainOptions, value)]),
  ) as TrainOptions;
  const threads = given.workers ?? given.threads;
  // One word for the threads takes the place of the other one.
  const started = threads === undefined ? said : pickFields(said, name => name !== 'workers' && name !== 'threads');
  const settings = resolveTrainOptions({ ...started, ...pickFields(given, name => free.has(name)) });
  // Limits go with the model that they were said of.
  const limits: ReadonlySet<string> = new Set(given.model === undefined ? [] : ['maxLatency', 'maxSize']);
  const wanted = resolveTrainOptions({ ...pickFields(started, name => !limits.has(name)), ...given });
  const changed = compareSettings(settings, wanted);
  if (changed.length > 0) {
    throw new GraftError(
      'usage',
      `${folder} was started with other settings:${changed.map(line => `\n  ${line}`).join('')}`,
      'Leave these out to go on with the run, or leave --resume out to train anew.',
    );
  }
  // The run's own manifest says which photos there are, and which of them are for validation.
  const manifest = join(folder, runFiles.manifest);
  const going = { ...settings, ...(model !== undefined && { model }), manifest, validationFraction: undefined };
  return { options: started, settings: going, folder, choice };
}

/** What args.json says of the start of a run. */
interface Start {
  readonly options: TrainOptions;
  /** The very model that was trained, and how `auto` chose it. */
  readonly model: string | undefined;
  readonly choice: ModelChoice | null;
}

/** How the run was started. */
async function readStart(folder: string): Promise<Start> {
  const finished = await stat(join(folder, runFiles.metrics)).then(
    () => true,
    () => false,
  );
  if (finished) {
    throw new GraftError(
      'bad-run',
      `The run ${folder} is finished: there is nothing to go on with.`,
      'Leave --resume out to train anew.',
    );
  }
  const file = join(folder, runFiles.args);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw explainSystemError(error, file);
    throw new GraftError(
      'bad-run',
      `${folder} is not a run that could go on: it has no ${runFiles.args}.`,
      'Name the folder of a run that was cut off after its features were computed, or train anew.',
    );
  }
  const { options, settings, choice = null } = parse(text);
  if (typeof options?.data !== 'string') {
    throw new GraftError(
      'bad-run',
      `${file} does not say how the run was started.`,
      'This version of graft did not start it: train anew.',
    );
  }
  return { options, model: settings?.model, choice };
}

interface Args {
  readonly options?: TrainOptions;
  readonly settings?: { readonly model?: string };
  readonly choice?: ModelChoice | null;
}

function parse(text: string): Args {
  try {
    return (JSON.parse(text) as Args | null) ?? {};
  } catch {
    return {};
  }
}

/** "head.lr: 0.003 then, 0.1 now" for every setting that differs. */
function compareSettings(then: TrainSettings, now: TrainSettings): string[] {
  const flatten = (value: unknown, path: string): [string, string][] =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.entries(value).flatMap(([name, inner]) => flatten(inner, path ? `${path}.${name}` : name))
      : [[path, JSON.stringify(value) ?? 'not set']];
  const before = new Map(flatten(then, ''));
  return flatten(now, '')
    .filter(([path, value]) => before.get(path) !== value)
    .map(([path, value]) => `${path}: ${before.get(path) ?? 'not set'} then, ${value} now`);
}
