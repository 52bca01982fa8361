// Noise tiles, made once per process and sampled everywhere: clouds, cells (pebbles, vein nets) and grain.
// All repeat after 256 samples, so a random offset and scale per use gives endless different surfaces.
import { makeRng } from '../base/rng.ts';

const SIDE = 256;
const MASK = SIDE - 1;

/** A repeating 256 x 256 map of values 0..1. */
export type Tile = Float32Array;

/** Value of a tile at any real position, bilinear, repeating. */
export function sample(tile: Tile, x: number, y: number): number {
  const xf = Math.floor(x);
  const yf = Math.floor(y);
  const u = x - xf;
  const v = y - yf;
  const x0 = xf & MASK;
  const x1 = (xf + 1) & MASK;
  const y0 = (yf & MASK) * SIDE;
  const y1 = ((yf + 1) & MASK) * SIDE;
  const top = tile[y0 + x0]! + (tile[y0 + x1]! - tile[y0 + x0]!) * u;
  const bottom = tile[y1 + x0]! + (tile[y1 + x1]! - tile[y1 + x0]!) * u;
  return top + (bottom - top) * v;
}

/** Replaces values by their rank, so that `value < p` holds on the fraction p of the tile. */
function equalise(tile: Tile): Tile {
  const order = Uint32Array.from(tile.keys()).sort((a, b) => tile[a]! - tile[b]!);
  for (let rank = 0; rank < order.length; rank++) tile[order[rank]!] = rank / order.length;
  return tile;
}

/** Fractal value noise: octaves of a smoothly interpolated lattice, each half as large and `gain` as strong. */
function makeClouds(gain: number): Tile {
  const tile = new Float32Array(SIDE * SIDE);
  let weight = 1;
  for (let lattice = 8; lattice <= 128; lattice *= 2) {
    const rng = makeRng(0, 'clouds', gain, lattice);
    const knots = Float32Array.from({ length: lattice * lattice }, () => rng.next());
    const step = SIDE / lattice;
    for (let y = 0; y < SIDE; y++) {
      const ky = Math.floor(y / step);
      const fy = y / step - ky;
      const v = fy * fy * (3 - 2 * fy);
      const a = ky * lattice;
      const b = ((ky + 1) % lattice) * lattice;
      for (let x = 0; x < SIDE; x++) {
        const kx = Math.floor(x / step);
        const fx = x / step - kx;
        const u = fx * fx * (3 - 2 * fx);
        const next = (kx + 1) % lattice;
        const top = knots[a + kx]! + (knots[a + next]! - knots[a + kx]!) * u;
        const bottom = knots[b + kx]! + (knots[b + next]! - knots[b + kx]!) * u;
        tile[y * SIDE + x] = tile[y * SIDE + x]! + weight * (top + (bottom - top) * v);
      }
    }
    weight *= gain;
  }
  return equalise(tile);
}

/** Worley noise with 16 x 16 points: `edges` is 0 on the border between two cells, `shade` is one value per cell. */
function makeCells(): { edges: Tile; shade: Tile } {
  const rng = makeRng(0, 'cells');
  const count = 16;
  const step = SIDE / count;
  const points = Array.from({ length: count * count }, () => [rng.next(), rng.next(), rng.next()] as const);
  const edges = new Float32Array(SIDE * SIDE);
  const shade = new Float32Array(SIDE * SIDE);
  for (let y = 0; y < SIDE; y++) {
    for (let x = 0; x < SIDE; x++) {
      const cx = Math.floor(x / step);
      const cy = Math.floor(y / step);
      let first = 9;
      let second = 9;
      for (let j = cy - 1; j <= cy + 1; j++) {
        for (let i = cx - 1; i <= cx + 1; i++) {
          const point = points[((j + count) % count) * count + ((i + count) % count)]!;
          const distance = Math.hypot(i + point[0] - x / step, j + point[1] - y / step);
          if (distance < first) {
            second = first;
            first = distance;
            shade[y * SIDE + x] = point[2];
          } else if (distance < second) second = distance;
        }
      }
      edges[y * SIDE + x] = Math.min(1, second - first);
    }
  }
  return { edges, shade };
}

function makeGrain(): Tile {
  const rng = makeRng(0, 'grain');
  return Float32Array.from({ length: SIDE * SIDE }, () => rng.next());
}

/** The tiles of the demo: soft and rough clouds (equalised), cell borders, cell shades, white grain. */
export interface Textures {
  readonly soft: Tile;
  readonly rough: Tile;
  readonly edges: Tile;
  readonly shades: Tile;
  readonly grain: Tile;
}

let made: Textures | undefined;

/** The noise tiles; the first call makes them (about 0.1 s). They are the same in every process. */
export function textures(): Textures {
  if (!made) {
    const cells = makeCells();
    made = {
      soft: makeClouds(0.42),
      rough: makeClouds(0.72),
      edges: cells.edges,
      shades: cells.shade,
      grain: makeGrain(),
    };
  }
  return made;
}
