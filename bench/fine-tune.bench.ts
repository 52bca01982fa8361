// Both phases beside the guide's recipe in PyTorch: accuracy, and wall clock to the accuracy that the guide ends with.
//
//   node --import tsx bench/fine-tune.bench.ts PHOTOS WEIGHTS.gguf [--seeds 0,1,2,3,4] [--peer-seeds 0]
//       [--graft='--fine-tune-epochs 2'] [--peer-epochs 10] [--peer-recipe both]
//
// graft runs as a user runs it (bin/graft.js), with its default settings and an empty cache; the peer is
// bench/guide-recipe.py on the same split, with so many epochs in each of its phases. The seeds of the peer are some of
// graft's. --graft gives graft other settings. Prints a table and writes bench/results/fine-tune.json.
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { TrainResult } from '../src/index.ts';
import { describeMachine, saveResults } from './support/save-results.ts';
import { deviation, mean, numbers, round } from './support/statistics.ts';
import { type Timed, timeGraft, timeProcess } from './support/time-process.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seeds: { type: 'string', default: '0,1,2,3,4' },
    'peer-seeds': { type: 'string', default: '0' },
    graft: { type: 'string', default: '' },
    'peer-epochs': { type: 'string', default: '10' },
    'peer-recipe': { type: 'string', default: 'both' },
  },
});
const [photos, weights] = positionals;
if (!photos || !weights) throw new Error('Usage: fine-tune.bench.ts PHOTOS WEIGHTS.gguf');
const [seeds, peerSeeds] = [numbers(values.seeds), numbers(values['peer-seeds'])];
if (!peerSeeds.every(seed => seeds.includes(seed))) throw new Error('--peer-seeds has to be some of --seeds.');
const work = mkdtempSync(join(tmpdir(), 'graft-fine-tune-'));

/** An epoch of graft, and when it was written down, in seconds from the start of the process. */
interface SeenEpoch {
  readonly phase: string;
  readonly epoch: number;
  readonly validationAccuracy: number;
  readonly seconds: number;
}

interface GraftRun extends Timed {
  readonly seed: number;
  readonly result: TrainResult;
  readonly epochs: readonly SeenEpoch[];
}

/** Runs graft and watches its results.csv, which is written anew, at once, when the head is trained and after each epoch. */
async function runGraft(seed: number): Promise<GraftRun> {
  const [name, cache] = [`seed-${seed}`, join(work, `cache-${seed}`)];
  const file = join(work, name, 'results.csv');
  const epochs: SeenEpoch[] = [];
  let seen = '';
  const look = (seconds: number) => {
    const found = statSync(file, { throwIfNoEntry: false });
    const state = found ? `${found.ino} ${found.mtimeMs}` : '';
    if (state === seen) return;
    seen = state;
    const [header, ...lines] = readFileSync(file, 'utf8').trim().split('\n');
    const columns = header!.split(',');
    for (const line of lines.slice(epochs.length)) {
      const cells = line.split(',');
      const cell = (column: string) => cells[columns.indexOf(column)]!;
      epochs.push({
        phase: cell('phase'),
        epoch: Number(cell('epoch')),
        // As many decimals as the peer tells.
        validationAccuracy: round(Number(cell('validation_accuracy')), 4),
        seconds,
      });
    }
  };
  const timed = await timeGraft(
    [
      ...['train', photos!, '--seed', String(seed), '--weights', weights!, '--project', work, '--name', name, '--json'],
      ...values.graft.split(' ').filter(Boolean),
    ],
    { GRAFT_CACHE: cache },
    look,
  );
  rmSync(cache, { recursive: true });
  return { ...timed, seed, result: JSON.parse(timed.stdout) as TrainResult, epochs };
}

/**
 * Seconds until graft had so good a model, null for never: when the head was trained, if the epoch of it that was kept is as
 * good, else after an epoch of fine-tuning.
 */
function secondsTo(accuracy: number, { result, epochs }: GraftRun): number | null {
  const candidates = epochs.filter(({ phase, epoch }) => phase !== 'head' || epoch === result.best_epoch);
  return candidates.find(epoch => epoch.validationAccuracy >= accuracy)?.seconds ?? null;
}

/** A phase of the peer, as guide-recipe.py reports it. */
interface PeerPhase {
  readonly epochs: number;
  readonly seconds: number;
  readonly validationAccuracy: readonly number[];
  readonly last: number;
  readonly best: number;
}

interface PeerRun extends Timed {
  readonly seed: number;
  readonly frozen: PeerPhase;
  readonly fineTune: Readonly<Record<string, PeerPhase>>;
}

async function runPeer(seed: number, manifest: string): Promise<PeerRun> {
  const timed = await timeProcess('/usr/bin/python3', [
    ...['bench/guide-recipe.py', '--data', photos!, '--manifest', manifest, '--weights', weights!, '--channels-last'],
    ...['--epochs', values['peer-epochs'], '--fine-tune-epochs', values['peer-epochs']],
    ...['--fine-tune-recipe', values['peer-recipe'], '--seed', String(seed)],
  ]);
  return { ...timed, seed, ...(JSON.parse(timed.stdout) as Pick<PeerRun, 'frozen' | 'fineTune'>) };
}

/** Wall clock of a run with this recipe alone: that of the process without the other recipe. */
function peerSeconds({ seconds, fineTune }: PeerRun, recipe: string): number {
  const others = Object.keys(fineTune).filter(name => name !== recipe);
  return others.reduce((rest, name) => rest - fineTune[name]!.seconds, seconds);
}

/** Wall clock until the peer itself first had an accuracy that it reaches. */
function peerSecondsTo(accuracy: number, run: PeerRun, recipe: string): number {
  const phases = [run.frozen, run.fineTune[recipe]!];
  let seconds = peerSeconds(run, recipe) - phases[0]!.seconds - phases[1]!.seconds;
  for (const phase of phases) {
    const first = phase.validationAccuracy.findIndex(found => found >= accuracy);
    if (first >= 0) return seconds + (phase.seconds * (first + 1)) / phase.epochs;
    seconds += phase.seconds;
  }
  return seconds;
}

const runs: GraftRun[] = [];
for (const seed of seeds) {
  runs.push(await runGraft(seed));
  const { result, seconds } = runs.at(-1)!;
  console.error(`graft, seed ${seed}: ${(100 * result.validation.accuracy).toFixed(1)} % in ${seconds.toFixed(1)} s`);
}
const peers: PeerRun[] = [];
for (const seed of peerSeeds) {
  const { result } = runs.find(run => run.seed === seed)!;
  peers.push(await runPeer(seed, join(result.run, 'manifest.json')));
}
const recipes = Object.keys(peers[0]?.fineTune ?? {});
const lastOf = (recipe: string) => mean(peers.map(({ fineTune }) => fineTune[recipe]!.last));
// The better recipe of the two, by what it ends with: on the validation photos themselves, which flatters the peer.
const recipe = recipes.reduce((a, b) => (lastOf(b) > lastOf(a) ? b : a), recipes[0] ?? '');
/** The accuracies that graft has to reach: what the peer ends with, and the best that it ever has. */
const targets = {
  last: ({ fineTune }: PeerRun) => fineTune[recipe]!.last,
  best: ({ frozen, fineTune }: PeerRun) => Math.max(frozen.best, fineTune[recipe]!.best),
};

const graftRows = runs.map(run => {
  const { seed, seconds, megabytes, result, epochs } = run;
  const peer = peers.find(other => other.seed === seed);
  const to = (accuracy: number) => {
    const found = secondsTo(accuracy, run);
    return found === null ? null : round(found, 1);
  };
  return {
    who: 'graft',
    seed,
    seconds: round(seconds, 1),
    accuracy: result.validation.accuracy,
    last: epochs.at(-1)!.validationAccuracy,
    head: result.fine_tuning?.head.accuracy,
    epochs: result.fine_tuning?.epochs,
    megabytes,
    ...(peer && { seconds_to_peer_last: to(targets.last(peer)), seconds_to_peer_best: to(targets.best(peer)) }),
  };
});
const peerRows = peers.flatMap(run =>
  recipes.map(name => ({
    who: `PyTorch, the guide, ${name}`,
    seed: run.seed,
    seconds: round(peerSeconds(run, name), 1),
    last: run.fineTune[name]!.last,
    best: Math.max(run.frozen.best, run.fineTune[name]!.best),
    head: run.frozen.last,
    epochs: run.fineTune[name]!.epochs,
    megabytes: run.megabytes,
  })),
);
console.table(graftRows);
console.table(peerRows);

const accuracies = runs.map(({ result }) => result.validation.accuracy);
const lasts = runs.map(({ epochs }) => epochs.at(-1)!.validationAccuracy);
const summary: Record<string, unknown> = {
  graft_accuracy: mean(accuracies),
  graft_accuracy_last: mean(lasts),
  ...(runs.length > 1 && { graft_deviation: deviation(accuracies), graft_deviation_last: deviation(lasts) }),
  graft_seconds: mean(runs.map(({ seconds }) => seconds)),
  graft_megabytes: Math.max(...runs.map(({ megabytes }) => megabytes)),
};
if (peers.length > 0) {
  const seconds = mean(peers.map(run => peerSeconds(run, recipe)));
  Object.assign(summary, {
    peer_recipe: recipe,
    peer_accuracy_last: mean(peers.map(targets.last)),
    peer_accuracy_best: mean(peers.map(targets.best)),
    peer_seconds: seconds,
    times_faster_whole_run: seconds / mean(runs.map(run => run.seconds)),
  });
  const same = runs.filter(({ seed }) => peerSeeds.includes(seed));
  for (const [name, target] of Object.entries(targets)) {
    const average = mean(peers.map(target));
    const peerFirst = mean(peers.map(run => peerSecondsTo(target(run), run, recipe)));
    // Every split of graft against the mean of the peer's, and each against the peer's on the same split.
    const times = {
      mean: runs.map(run => secondsTo(average, run)),
      same_split: same.map(run => secondsTo(target(peers.find(({ seed }) => seed === run.seed)!), run)),
    };
    for (const [how, reached] of Object.entries(times)) {
      const all = reached.filter(time => time !== null);
      const graft = all.length === reached.length ? mean(all) : null;
      summary[`to_peer_${name}_${how}`] = {
        runs: reached.length,
        reached: all.length,
        graft_seconds: graft && round(graft, 1),
        times_faster: graft && round(seconds / graft, 2),
        /** Against the moment at which the peer itself first had the accuracy. */
        times_faster_than_first: graft && round(peerFirst / graft, 2),
      };
    }
  }
}
console.log(summary);
const epochs = runs.map(run => ({ seed: run.seed, epochs: run.epochs.filter(({ phase }) => phase !== 'head') }));
const details = { graft: epochs, peer: peers.map(({ seed, frozen, fineTune }) => ({ seed, frozen, fineTune })) };
saveResults('fine-tune', { machine: describeMachine(), summary, rows: [...graftRows, ...peerRows], details });
rmSync(work, { recursive: true });
