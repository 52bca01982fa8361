// What a run was told and what it was made with: args.json, from which it can be repeated and resumed.
import { resolve } from 'node:path';
import type { Manifest } from '../dataset/manifest.ts';
import type { Weights } from '../zoo/load-weights.ts';
import { describeMachine, packageVersion } from './machine.ts';
import type { Provenance } from './provenance.ts';
import { hashDataset } from './train-dataset.ts';
import type { TrainOptions, TrainSettings } from './train-options.ts';

/** What the model that is being trained will say of itself. */
export function describeModel(settings: TrainSettings, manifest: Manifest, weights: Weights): Provenance {
  return {
    format: 1,
    graft: packageVersion(),
    backbone: settings.card.name,
    classes: manifest.classes,
    preprocess: settings.preprocess,
    ...(settings.camera === 'none' ? {} : { camera: settings.camera }),
    weights: weights.sha256,
    dataset: hashDataset(manifest),
  };
}

/** The content of args.json. `options` are what the caller said, `settings` what was really used. */
export function describeRun(options: TrainOptions, settings: TrainSettings, model: Provenance): unknown {
  const { card, preprocess: _, ...rest } = settings;
  const { resume: __, ...said } = options;
  // Paths that hold wherever the run is resumed from.
  const whole = (file: string | undefined) => (file === undefined ? undefined : resolve(file));
  const paths = { data: resolve(settings.data), weights: whole(settings.weights), manifest: whole(settings.manifest) };
  const { title, paper } = card;
  // The card's licence and origin are not those of a file that the user brought.
  const weights = settings.weights === undefined ? card.weights : { file: settings.weights, sha256: model.weights };
  return {
    model,
    options: { ...said, ...paths },
    settings: { ...rest, ...paths },
    backbone: { title, paper, weights },
    ...describeMachine(),
  };
}
