// The photos that models are compared on: of classes that all of them know, and learned by none of them.
import { stat } from 'node:fs/promises';
import { GraftError } from '../base/errors.ts';
import type { Steps } from '../base/events.ts';
import type { Manifest } from '../dataset/manifest.ts';
import { listNames } from '../dataset/splits.ts';
import { type KnownPhoto, openKnownFolder } from './evaluate-model.ts';
import type { Classifier } from './open-classifier.ts';
import { openRunPhotos } from './run-photos.ts';
import { countIn, hashesOf, manifestOf } from './trained-photos.ts';

/** Photos and the classes that their labels count in. */
export interface ComparedPhotos {
  readonly classes: readonly string[];
  readonly photos: readonly KnownPhoto[];
}

/**
 * Finds the photos: those of a labelled folder, or the validation photos of the first run folder among the models. Warnings say
 * how many are left out because one of the models was trained on them, and which model chose its epoch on them.
 * @throws GraftError `label-mismatch` for models of other classes, `usage` where there are no photos, `too-few-photos` where
 * none is left.
 */
export async function* findComparedPhotos(
  models: readonly Classifier[],
  data: string | undefined,
  workers: number,
): Steps<ComparedPhotos> {
  requireSameClasses(models);
  const { classes, photos } = yield* readPhotos(models, data, workers);
  const manifests = await Promise.all(models.map(manifestOf));
  const trained = new Set(manifests.flatMap(manifest => [...hashesOf(manifest, 'train')]));
  const fresh = photos.filter(({ sha256 }) => !trained.has(sha256 ?? ''));
  if (fresh.length < photos.length) {
    const message = `${photos.length - fresh.length} of the ${photos.length} photos are left out: one of the models was trained on them.`;
    yield { type: 'warning', message };
  }
  if (fresh.length === 0) {
    throw new GraftError(
      'too-few-photos',
      'No photo is left that none of the models was trained on.',
      'Name a folder with other photos with --data.',
    );
  }
  yield* warnOfAdvantage(models, manifests, fresh);
  return { classes, photos: fresh };
}

/** The first model that names its classes, else the first: the others' classes are held against its. */
const firstNamed = (models: readonly Classifier[]) => models.find(model => model.classes !== undefined) ?? models[0]!;

function requireSameClasses(models: readonly Classifier[]): void {
  const first = firstNamed(models);
  const sorted = (names: readonly string[]) => JSON.stringify([...names].sort());
  const say = ({ name, classes, width }: Classifier) =>
    `${name} knows ${classes ? listNames(classes, 12) : `${width} classes`}`;
  for (const model of models) {
    const fits =
      first.classes && model.classes ? sorted(first.classes) === sorted(model.classes) : first.width === model.width;
    if (fits) continue;
    throw new GraftError(
      'label-mismatch',
      `${say(model)}, and ${say(first)}.`,
      'Compare models of the same classes, in any order.',
    );
  }
}

async function* readPhotos(
  models: readonly Classifier[],
  data: string | undefined,
  workers: number,
): Steps<ComparedPhotos> {
  const first = firstNamed(models);
  if (data !== undefined) {
    const { classes, photos, excluded } = yield* openKnownFolder(
      { ...first, provenance: null, notes: [] },
      data,
      workers,
    );
    yield* warnOfNames(models, first, classes);
    if (excluded.length > 0) {
      const [{ path, reason }] = excluded as [(typeof excluded)[number]];
      const message = `${excluded.length === 1 ? '1 file is' : `${excluded.length} files are`} left out, as ${path}: ${reason}`;
      yield { type: 'note', message };
    }
    return { classes, photos };
  }
  for (const { name } of models) {
    if (!(await stat(name)).isDirectory()) continue;
    const { manifest, photos } = yield* openRunPhotos(name, 'validation', workers);
    yield { type: 'note', message: `The ${photos.length} validation photos of ${name}.` };
    yield* warnOfNames(models, first, manifest.classes);
    return { classes: manifest.classes, photos };
  }
  throw new GraftError(
    'usage',
    'None of the models is a run folder, so that there are no photos to compare on.',
    'Name a labelled folder with --data.',
  );
}

/** Says what the classes of models that name none are taken for; `openKnownFolder` has said it of the first. */
async function* warnOfNames(models: readonly Classifier[], first: Classifier, classes: readonly string[]): Steps<void> {
  for (const model of models) {
    if (model.classes || model === first) continue;
    const message = `${model.name} does not say what its classes are called: taken for ${listNames(classes, 12)}, in this order.`;
    yield { type: 'warning', message };
  }
}

/** Who has seen the photos, while others have not, is flattered; of some models nobody knows. */
async function* warnOfAdvantage(
  models: readonly Classifier[],
  manifests: readonly (Manifest | undefined)[],
  photos: readonly KnownPhoto[],
): Steps<void> {
  const [chosen, unknown]: [string[], string[]] = [[], []];
  for (const [i, { name }] of models.entries()) {
    if (countIn(hashesOf(manifests[i], 'validation'), photos) > 0) chosen.push(name);
    else if (!manifests[i]) unknown.push(name);
  }
  if (chosen.length > 0 && chosen.length < models.length) {
    const message = `${chosen.join(', ')} chose its epoch on these photos, and others did not: that flatters it a little.`;
    yield { type: 'warning', message };
  }
  if (unknown.length > 0) {
    const message = `Nobody knows which photos ${unknown.join(', ')} was trained on: some of these would flatter it.`;
    yield { type: 'note', message };
  }
}
