// Raw throughput and memory of full fine-tuning beside PyTorch: every parameter trained, same weights, photos and machine.
//
//   node --import tsx bench/throughput.bench.ts [WEIGHTS.gguf] [--rounds 5] [--steps 10] [--batch 32] [--threads 2]
//
// Rounds of graft (support/graft-steps.ts) and PyTorch (throughput.py) take turns, each in a process of its own. A step is
// forward, backward and AdamW; photos are decoded beforehand. Prints a table and writes bench/results/throughput.json.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { drawLeafPhoto } from '../src/demo/draw-leaf-photo.ts';
import { decodePhoto } from '../src/image/decode.ts';
import { cacheFolder } from '../src/project/cache-folder.ts';
import { openRecordCache } from '../src/train/record-cache.ts';
import { findCard } from '../src/zoo/cards.ts';
import { loadWeights } from '../src/zoo/load-weights.ts';
import { drain } from './support/drain.ts';
import { CLASSES } from './support/open-backbone.ts';
import { describeMachine, saveResults } from './support/save-results.ts';
import { mean, median, round } from './support/statistics.ts';
import { pictureKey, type StepsJob, type StepsReport } from './support/steps-job.ts';
import { timeProcess } from './support/time-process.ts';

/** The zoo, as far as throughput.py knows its networks. */
const backbones = ['mobilenet_v3_small'];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    steps: { type: 'string', default: '10' },
    batch: { type: 'string', default: '32' },
    threads: { type: 'string', default: '2' },
  },
});
const [rounds, batch] = [Number(values.rounds), Number(values.batch)];
const photos = 2 * batch;
const work = mkdtempSync(join(tmpdir(), 'graft-throughput-'));

/** Draws leaves into a record cache, as graft reads them, and into one file, as the peer does. */
async function drawPictures(backbone: string): Promise<Pick<StepsJob, 'pixels' | 'cache' | 'size'>> {
  const { preprocess } = findCard(backbone);
  const { size } = preprocess;
  const [pixels, folder] = [join(work, `${backbone}.bin`), join(work, backbone)];
  const cache = await openRecordCache({ folder, suffix: 'pixels', bytes: size ** 2 * 3 });
  const pictures: Uint8Array[] = [];
  for (let index = 0; index < photos; index++) {
    const leaf = await drawLeafPhoto({ seed: 0, index, healthy: index % CLASSES === 0 });
    pictures.push(await decodePhoto(leaf, preprocess));
    await cache.add(pictureKey(index), pictures.at(-1)!);
  }
  await cache.close();
  writeFileSync(pixels, Buffer.concat(pictures));
  return { pixels, cache: folder, size };
}

const programs = {
  graft: [process.execPath, '--import', 'tsx', 'bench/support/graft-steps.ts'],
  PyTorch: ['/usr/bin/python3', 'bench/throughput.py'],
};
const rows: Record<string, unknown>[] = [];
const summaries: Record<string, unknown>[] = [];
for (const backbone of backbones) {
  const job: StepsJob = {
    backbone,
    weights: positionals[0] ?? (await drain(loadWeights(findCard(backbone), cacheFolder()))).file,
    ...(await drawPictures(backbone)),
    photos,
    classes: CLASSES,
    batch,
    warmUp: 3,
    steps: Number(values.steps),
    threads: Number(values.threads),
  };
  const speeds: Record<string, number[]> = { graft: [], PyTorch: [] };
  const peaks: Record<string, number> = { graft: 0, PyTorch: 0 };
  for (let number = 1; number <= rounds; number++) {
    for (const [who, [program, ...words]] of Object.entries(programs)) {
      const { stdout } = await timeProcess(program!, [...words, JSON.stringify(job)]);
      const report = JSON.parse(stdout) as StepsReport;
      const speed = batch / mean(report.seconds);
      speeds[who]!.push(speed);
      peaks[who] = Math.max(peaks[who]!, report.megabytes);
      const losses = { first_loss: round(report.losses[0]!, 4), last_loss: round(report.losses.at(-1)!, 4) };
      const row = { backbone, round: number, who, photos_per_second: round(speed, 1), cores: round(report.cores, 2) };
      rows.push({
        ...row,
        megabytes: report.megabytes,
        median_step_ms: round(1000 * median(report.seconds), 1),
        ...losses,
      });
    }
  }
  const ratios = speeds.graft!.map((speed, i) => speed / speeds.PyTorch![i]!);
  summaries.push({
    backbone,
    batch,
    threads: job.threads,
    graft_photos_per_second: round(median(speeds.graft!), 1),
    peer_photos_per_second: round(median(speeds.PyTorch!), 1),
    ratio: round(median(speeds.graft!) / median(speeds.PyTorch!), 3),
    ratio_lowest: round(Math.min(...ratios), 3),
    ratio_highest: round(Math.max(...ratios), 3),
    graft_megabytes: peaks.graft,
    peer_megabytes: peaks.PyTorch,
  });
}
rmSync(work, { recursive: true });
console.table(rows);
console.log(summaries);
saveResults('throughput', { machine: describeMachine(), summary: summaries, rows });
