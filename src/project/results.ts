// What a run writes down of each epoch: results.csv, and TensorBoard's event files where they are asked for.
import { join } from 'node:path';
import { stringify } from 'csv-stringify/sync';
import { writeWhole } from '../base/files.ts';
import type { EpochRecord } from '../train/head.ts';
import { runFiles } from './run-folder.ts';

/** The epochs of both phases. */
export interface Epochs {
  readonly head: readonly EpochRecord[];
  readonly fineTuning: readonly EpochRecord[];
}

/** Writes results.csv: one line per epoch, the head's first. */
export async function writeResults(folder: string, { head, fineTuning }: Epochs): Promise<void> {
  const columns = {
    phase: 'phase',
    epoch: 'epoch',
    learningRate: 'learning_rate',
    trainLoss: 'train_loss',
    trainAccuracy: 'train_accuracy',
    validationLoss: 'validation_loss',
    validationAccuracy: 'validation_accuracy',
  };
  const cast = { number: (value: number) => String(Number(value.toPrecision(6))) };
  const rows = [
    ...head.map(record => ({ phase: 'head', ...record })),
    ...fineTuning.map(record => ({ phase: 'fine-tuning', ...record })),
  ];
  await writeWhole(join(folder, runFiles.results), stringify(rows, { header: true, columns, cast }));
}

/** Scalars of an epoch, by TensorBoard's tags. */
export function scalarsOf(record: EpochRecord): Record<string, number> {
  return {
    'loss/train': record.trainLoss,
    'loss/validation': record.validationLoss,
    'accuracy/train': record.trainAccuracy,
    'accuracy/validation': record.validationAccuracy,
    learning_rate: record.learningRate,
  };
}
