// Raw throughput and memory of full fine-tuning beside PyTorch: every parameter trained, same network, photos and machine.
//
//   node --import tsx bench/throughput.bench.ts [BACKBONE ...] [--rounds 5] [--steps 10] [--batch 32] [--threads 2]
//
// For each backbone of the zoo, or those that are named, rounds of graft (support/graft-steps.ts) and PyTorch (throughput.py,
// in both of its layouts) take turns, each in a process of its own. A step is forward, backward and AdamW; photos are decoded
// beforehand, weights are random. Prints a table and writes bench/results/throughput.json; backbones that are named take the
// place of their own rows in it.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { drawLeafPhoto } from '../src/demo/draw-leaf-photo.ts';
import { decodePhoto } from '../src/image/decode.ts';
import { openRecordCache } from '../src/train/record-cache.ts';
import { cards, DEFAULT_BACKBONE, findCard } from '../src/zoo/cards.ts';
import { CLASSES, openRandomBackbone } from './support/open-backbone.ts';
import { writePeerNetwork } from './support/peer-network.ts';
import { describeMachine, loadResults, saveResults } from './support/save-results.ts';
import { mean, median, round } from './support/statistics.ts';
import { pictureKey, type StepsJob, type StepsReport } from './support/steps-job.ts';
import { timeProcess } from './support/time-process.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    steps: { type: 'string', default: '10' },
    'warm-up': { type: 'string', default: '3' },
    batch: { type: 'string', default: '32' },
    threads: { type: 'string', default: '2' },
  },
});
const [rounds, batch] = [Number(values.rounds), Number(values.batch)];
const photos = 2 * batch;
const work = mkdtempSync(join(tmpdir(), 'graft-throughput-'));
const all = cards.map(({ name }) => name);
// The default comes first: the README compares with it.
const backbones = positionals.length > 0 ? positionals : [DEFAULT_BACKBONE, ...all.filter(n => n !== DEFAULT_BACKBONE)];

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

const graft = [process.execPath, '--import', 'tsx', 'bench/support/graft-steps.ts'] as const;
const pytorch = ['/usr/bin/python3', 'bench/throughput.py'] as const;
const sides = {
  graft: { program: graft, channelsLast: false },
  default: { program: pytorch, channelsLast: false },
  channels_last: { program: pytorch, channelsLast: true },
} as const;
type Side = keyof typeof sides;
const names = Object.keys(sides) as Side[];

/** A row of the results. */
type Row = Readonly<Record<string, unknown>> & { readonly backbone: string };

/** What the results file holds. */
interface Results {
  readonly summary: readonly Row[];
  readonly rows: readonly Row[];
}

const rows: Row[] = [];
const summaries: Row[] = [];
for (const backbone of backbones) {
  const job: StepsJob = {
    backbone,
    network: writePeerNetwork((await openRandomBackbone(backbone)).backbone, join(work, `${backbone}.network`)),
    ...(await drawPictures(backbone)),
    photos,
    classes: CLASSES,
    batch,
    warmUp: Number(values['warm-up']),
    steps: Number(values.steps),
    threads: Number(values.threads),
  };
  const speeds: Record<Side, number[]> = { graft: [], default: [], channels_last: [] };
  const perProcessor: Record<Side, number[]> = { graft: [], default: [], channels_last: [] };
  const peaks: Record<Side, number> = { graft: 0, default: 0, channels_last: 0 };
  for (let number = 1; number <= rounds; number++) {
    const first: number[] = [];
    for (const side of names) {
      const { program, channelsLast } = sides[side];
      const [command, ...words] = program;
      const { stdout } = await timeProcess(command, [...words, JSON.stringify({ ...job, channelsLast })]);
      const report = JSON.parse(stdout) as StepsReport;
      const speed = batch / mean(report.seconds);
      speeds[side].push(speed);
      perProcessor[side].push(speed / report.cores);
      peaks[side] = Math.max(peaks[side], report.megabytes);
      first.push(report.losses[0]!);
      rows.push({
        backbone,
        round: number,
        side,
        photos_per_second: round(speed, 2),
        photos_per_processor_second: round(speed / report.cores, 2),
        cores: round(report.cores, 2),
        megabytes: report.megabytes,
        median_step_ms: round(1000 * median(report.seconds), 1),
        first_loss: round(report.losses[0]!, 4),
        last_loss: round(report.losses.at(-1)!, 4),
      });
    }
    if (Math.max(...first) - Math.min(...first) > 1e-3 * Math.max(...first)) {
      throw new Error(`${backbone}: the networks are not the same, their first losses are ${first.join(', ')}.`);
    }
  }
  const fastest = median(speeds.default) > median(speeds.channels_last) ? 'default' : 'channels_last';
  const ratios = speeds.graft.map((speed, i) => speed / speeds[fastest][i]!);
  const ratio = (side: Side) => round(median(speeds.graft) / median(speeds[side]), 3);
  summaries.push({
    backbone,
    batch,
    threads: job.threads,
    graft_photos_per_second: round(median(speeds.graft), 2),
    default_photos_per_second: round(median(speeds.default), 2),
    channels_last_photos_per_second: round(median(speeds.channels_last), 2),
    peer_photos_per_second: round(median(speeds[fastest]), 2),
    ratio_default: ratio('default'),
    ratio_channels_last: ratio('channels_last'),
    ratio: ratio(fastest),
    ratio_lowest: round(Math.min(...ratios), 3),
    ratio_highest: round(Math.max(...ratios), 3),
    ratio_processor_default: round(median(perProcessor.graft) / median(perProcessor.default), 3),
    ratio_processor_channels_last: round(median(perProcessor.graft) / median(perProcessor.channels_last), 3),
    graft_megabytes: peaks.graft,
    peer_megabytes: peaks[fastest],
  });
  console.log(summaries.at(-1));
}
rmSync(work, { recursive: true });
console.table(rows);
console.table(summaries);
// Named backbones take the place of their own rows.
const before: Results = positionals.length > 0 ? loadResults('throughput') : { summary: [], rows: [] };
const others = <R extends Row>(list: readonly R[]) => list.filter(({ backbone }) => !backbones.includes(backbone));
const summary = all
  .map(name => [...others(before.summary), ...summaries].find(({ backbone }) => backbone === name))
  .filter(row => row !== undefined);
saveResults('throughput', { machine: describeMachine(), summary, rows: [...others(before.rows), ...rows] });
