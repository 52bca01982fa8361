// What a run was told and what it was made with: args.json, from which it can be repeated and resumed.
import { resolve } from 'node:path';
import { pickFields } from '../base/pick-fields.ts';
import type { Manifest } from '../dataset/manifest.ts';
import type { ModelChoice } from './auto-model.ts';
import type { FittedSettings } from './fit-settings.ts';
import { describeMachine, packageVersion } from './machine.ts';
import { isModelFile } from './open-backbone.ts';
import type { Provenance } from './provenance.ts';
import { hashDataset } from './train-dataset.ts';
import type { TrainOptions } from './train-options.ts';

/** What the model that is being trained will say of itself. */
export function describeModel(settings: FittedSettings, manifest: Manifest): Provenance {
  return {
    format: 1,
    graft: packageVersion(),
    backbone: settings.backbone.name,
    classes: manifest.classes,
    preprocess: settings.backbone.preprocess,
    ...(settings.camera === 'none' ? {} : { camera: settings.camera }),
    weights: settings.backbone.weights.sha256,
    dataset: hashDataset(manifest),
  };
}

/** The content of args.json. `options` are what the caller said, `settings` what was really used. */
export function describeRun(
  options: TrainOptions,
  settings: FittedSettings,
  model: Provenance,
  choice: ModelChoice | null,
): unknown {
  // Paths that hold wherever the run is resumed from.
  const whole = (file: string | undefined) => (file === undefined ? undefined : resolve(file));
  const paths = {
    data: resolve(settings.data),
    weights: whole(settings.weights),
    manifest: whole(settings.manifest),
  };
  const { title, weights } = settings.backbone;
  return {
    model,
    options: {
      ...pickFields(options, name => name !== 'resume'),
      ...paths,
      ...(options.model && { model: modelInFull(options.model) }),
    },
    // The very model: of a repository the commit, of auto what it chose.
    settings: {
      ...pickFields(settings, name => name !== 'backbone' && name !== 'limits'),
      ...paths,
      model: modelInFull(settings.model),
    },
    choice,
    backbone: { title, weights },
    ...describeMachine(),
  };
}

/** A model's name that holds wherever it is opened from. */
const modelInFull = (model: string): string => (isModelFile(model) ? resolve(model) : model);
