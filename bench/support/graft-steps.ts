// graft's side of throughput.bench.ts, in a process of its own: steps of the trainer, each timed. Prints one JSON line.

import { defaultAugmentation } from '../../src/image/augment.ts';
import { defaultFineTuneOptions } from '../../src/train/fine-tune.ts';
import { openRecordCache } from '../../src/train/record-cache.ts';
import { openTrainer, type TrainRow } from '../../src/train/trainer.ts';
import { CLASSES, LOSS, openRandomBackbone } from './open-backbone.ts';
import { peakMegabytes } from './peak-memory.ts';
import { pictureKey, type StepsJob, type StepsReport } from './steps-job.ts';

/** Runs the steps. */
async function runSteps(job: StepsJob): Promise<StepsReport> {
  const { backbone, model, parameters } = await openRandomBackbone(job.backbone);
  const { preprocess } = backbone;
  const cache = await openRecordCache({ folder: job.cache, suffix: 'pixels', bytes: preprocess.size ** 2 * 3 });
  const options = defaultFineTuneOptions;
  const trainer = await openTrainer({
    model,
    parameters,
    classes: CLASSES,
    source: { kind: 'pixels', preprocess, augmentation: defaultAugmentation },
    loss: LOSS,
    batch: job.batch,
    workers: job.threads,
    device: 'cpu',
    optimiser: { name: options.optimiser, clipNorm: options.clipNorm, averageDecay: options.averageDecay },
    rateOf: () => 1,
    decayOf: (_name, shape) => (shape.length > 1 ? options.weightDecay : 0),
  });
  const batchOf = (step: number): TrainRow[] =>
    Array.from({ length: job.batch }, (_, i) => {
      const index = (step * job.batch + i) % job.photos;
      const target = new Float32Array(CLASSES);
      target[index % CLASSES] = 1;
      const key = pictureKey(index);
      return { sample: { file: key, sha256: key, place: cache.locate(key), view: null }, target };
    });
  const seconds: number[] = [];
  const losses: number[] = [];
  let busy = process.cpuUsage();
  for (let step = 0; step < job.warmUp + job.steps; step++) {
    if (step === job.warmUp) busy = process.cpuUsage();
    const start = performance.now();
    const { loss } = await trainer.step(batchOf(step), options.lr, batchOf(step + 1));
    losses.push(loss);
    if (step >= job.warmUp) seconds.push((performance.now() - start) / 1000);
  }
  const { user, system } = process.cpuUsage(busy);
  const cores = (user + system) / 1e6 / seconds.reduce((sum, time) => sum + time, 0);
  await trainer.close();
  await cache.close();
  return { seconds, cores, losses, megabytes: peakMegabytes() };
}

console.log(JSON.stringify(await runSteps(JSON.parse(process.argv[2]!) as StepsJob)));
