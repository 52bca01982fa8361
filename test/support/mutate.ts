// Damages files for fuzzing: what storage, downloads and attackers do to them, from a seeded stream of random numbers.
import type { Rng } from '../../src/base/rng.ts';

/** A sound file, and the parts of it that deserve damage of their own. */
export interface Seed {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Ranges of bytes; the whole file is one. */
  readonly regions: readonly (readonly [start: number, end: number])[];
}

type Mutation = (bytes: Uint8Array, region: readonly [number, number], rng: Rng, seeds: readonly Seed[]) => Uint8Array;

/** A place in the region where `width` bytes fit, a multiple of `width`. */
function placeIn([start, end]: readonly [number, number], width: number, rng: Rng): number {
  const at = start + rng.int(Math.max(1, end - start - width));
  return at - (at % width);
}

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Kinds of damage. Each may change `bytes` in place. */
const mutations: Readonly<Record<string, Mutation>> = {
  flip(bytes, region, rng) {
    for (let count = rng.chance(0.6) ? 1 : 8; count > 0; count--) bytes[placeIn(region, 1, rng)]! ^= 1 << rng.int(8);
    return bytes;
  },
  byte(bytes, region, rng) {
    bytes[placeIn(region, 1, rng)] = rng.pick([0, 1, 2, 4, 8, 32, 127, 128, 255]);
    return bytes;
  },
  truncate: (bytes, region, rng) => bytes.slice(0, placeIn(region, 1, rng)),
  offset(bytes, region, rng) {
    const view = viewOf(bytes);
    for (let count = rng.chance(0.7) ? 1 : 3; count > 0; count--) {
      const value = rng.pick([0, 1, 4, 8, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffffc, rng.int(bytes.length)]);
      view.setUint32(placeIn(region, 4, rng), value, true);
    }
    return bytes;
  },
  length(bytes, region, rng) {
    const view = viewOf(bytes);
    // Small numbers at multiples of four are lengths of vectors more often than not.
    for (let tries = 0; tries < 200; tries++) {
      const at = placeIn(region, 4, rng);
      const value = view.getUint32(at, true);
      if (value === 0 || value > 10_000) continue;
      view.setUint32(
        at,
        rng.pick([value + 1, value * 2, value * 1000, bytes.length >> 2, bytes.length, 2 ** 31]),
        true,
      );
      break;
    }
    return bytes;
  },
  splice(bytes, region, rng, seeds) {
    const other = rng.pick(seeds).bytes;
    const length = 1 + rng.int(Math.min(32, bytes.length, other.length));
    const from = rng.int(other.length - length + 1);
    bytes.set(other.subarray(from, from + length), Math.min(placeIn(region, 4, rng), bytes.length - length));
    return bytes;
  },
  insert(bytes, region, rng) {
    const at = placeIn(region, 1, rng);
    const added = new Uint8Array(1 + rng.int(64)).fill(rng.int(256));
    const longer = new Uint8Array(bytes.length + added.length);
    longer.set(bytes.subarray(0, at));
    longer.set(added, at);
    longer.set(bytes.subarray(at), at + added.length);
    return longer;
  },
  remove(bytes, region, rng) {
    const at = placeIn(region, 1, rng);
    const end = Math.min(bytes.length, at + 1 + rng.int(64));
    const shorter = new Uint8Array(bytes.length - (end - at));
    shorter.set(bytes.subarray(0, at));
    shorter.set(bytes.subarray(end), at);
    return shorter;
  },
  pointers(bytes, region, rng) {
    // All elements of what may be a vector of pointers lead to the place of the first one.
    const view = viewOf(bytes);
    const start = placeIn(region, 4, rng);
    const target = start + view.getUint32(start, true);
    const end = Math.min(start + 4 * (2 + rng.int(200)), bytes.length - 4, target);
    for (let at = start; at < end; at += 4) view.setUint32(at, target - at, true);
    return bytes;
  },
};

/** Kinds by how often they are drawn: what changes little gets farther into the reader. */
const drawn = [
  ...['flip', 'flip', 'flip', 'flip', 'flip', 'byte', 'byte', 'byte', 'byte', 'byte'],
  ...['offset', 'offset', 'length', 'length', 'splice', 'splice', 'pointers', 'truncate', 'insert', 'remove'],
];

/** A damaged copy of one of the seeds, and how it was made. */
export function mutate(seeds: readonly Seed[], rng: Rng): { readonly bytes: Uint8Array; readonly how: string } {
  const seed = rng.pick(seeds);
  let bytes: Uint8Array = seed.bytes.slice();
  const names: string[] = [];
  for (let count = rng.chance(0.7) ? 1 : 2 + rng.int(3); count > 0 && bytes.length > 16; count--) {
    const name = rng.pick(drawn);
    const [start, end] = rng.pick(seed.regions);
    const region = [Math.min(start, bytes.length - 8), Math.min(end, bytes.length)] as const;
    bytes = mutations[name]!(bytes, region, rng, seeds);
    names.push(name);
  }
  return { bytes, how: `${seed.name}: ${names.join(', ')}` };
}
