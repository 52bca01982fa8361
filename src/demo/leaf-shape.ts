// What a leaf is before it has colour: outline and veins of nine kinds, asked pixel by pixel.
// Feathered leaves are a half-width along the midrib; hand-shaped ones a radius per angle around the leaf's base.
import type { Rng } from '../base/rng.ts';
import { clamp01, mix, smoothstep } from './canvas.ts';

/** A kind of leaf. Lengths are in leaf lengths. */
type Species =
  | {
      readonly kind: 'feathered';
      /** Half of the greatest width. */
      readonly half: readonly [number, number];
      /** Outline t^rise * (1 - t)^fall, t from base to tip. */
      readonly rise: number;
      readonly fall: number;
      /** Depth (0..1 of the width) and number of round lobes, and of teeth. */
      readonly lobes?: readonly [depth: number, count: number];
      readonly teeth?: readonly [depth: number, count: number];
      readonly veins: readonly [number, number];
      /** Slope of side veins: length along the midrib per length across. */
      readonly slope: number;
    }
  | {
      readonly kind: 'hand';
      /** Outline as degrees from the tip (0) to the stalk (180) and radius; both sides alike. */
      readonly outline: readonly (readonly [degrees: number, radius: number])[];
      /** Degrees of the main veins. */
      readonly rays: readonly number[];
      readonly teeth?: readonly [depth: number, count: number];
      readonly veins: readonly [number, number];
      readonly slope: number;
      /** Width over length of the whole, a range. */
      readonly half: readonly [number, number];
    };

const species: readonly Species[] = [
  { kind: 'feathered', half: [0.24, 0.33], rise: 0.55, fall: 0.95, veins: [7, 10], slope: 0.75 },
  { kind: 'feathered', half: [0.1, 0.15], rise: 0.7, fall: 0.95, veins: [11, 16], slope: 1.1 },
  { kind: 'feathered', half: [0.22, 0.3], rise: 0.6, fall: 0.7, teeth: [0.09, 26], veins: [9, 13], slope: 0.7 },
  { kind: 'feathered', half: [0.3, 0.4], rise: 0.5, fall: 0.55, teeth: [0.06, 18], veins: [6, 8], slope: 0.6 },
  { kind: 'feathered', half: [0.25, 0.34], rise: 0.95, fall: 0.45, veins: [8, 11], slope: 0.8 },
  { kind: 'feathered', half: [0.27, 0.34], rise: 0.8, fall: 0.5, lobes: [0.5, 4], veins: [4, 4], slope: 0.5 },
  {
    kind: 'hand',
    outline: [
      [0, 0.8],
      [8, 0.66],
      [30, 0.57],
      [60, 0.53],
      [90, 0.5],
      [120, 0.47],
      [145, 0.44],
      [163, 0.36],
      [174, 0.2],
      [180, 0.02],
    ],
    rays: [0, 38, 80, 128],
    veins: [6, 8],
    slope: 0.7,
    half: [0.9, 1.1],
  },
  {
    kind: 'hand',
    outline: [
      [0, 0.78],
      [9, 0.56],
      [22, 0.33],
      [30, 0.42],
      [45, 0.7],
      [55, 0.5],
      [68, 0.3],
      [78, 0.4],
      [95, 0.54],
      [108, 0.36],
      [135, 0.25],
      [165, 0.17],
      [180, 0.05],
    ],
    rays: [0, 45, 95],
    teeth: [0.07, 30],
    veins: [6, 8],
    slope: 0.9,
    half: [0.95, 1.15],
  },
  {
    kind: 'hand',
    outline: [
      [0, 0.72],
      [12, 0.6],
      [27, 0.46],
      [38, 0.5],
      [52, 0.58],
      [66, 0.5],
      [82, 0.42],
      [98, 0.47],
      [118, 0.45],
      [145, 0.36],
      [168, 0.24],
      [180, 0.03],
    ],
    rays: [0, 52, 105],
    teeth: [0.1, 22],
    veins: [5, 7],
    slope: 0.7,
    half: [0.9, 1.05],
  },
];

/** What is found at one point of a leaf. Distances are in leaf lengths. */
export interface LeafPoint {
  /** Distance to the outline, positive inside. */
  inside: number;
  /** 0 at the base, 1 at the tip. */
  along: number;
  /** Side of the midrib, -1..1 across the leaf. */
  across: number;
  /** Distance to the nearest main vein, and its half-width. */
  main: number;
  mainWidth: number;
  /** Distance to the nearest side vein, and its half-width. */
  side: number;
  sideWidth: number;
  /** Position between two side veins, -0.5..0.5; 0 on the vein. */
  phase: number;
}

/** A leaf of a kind, with its own irregularities. `at` fills `point` for a position in leaf lengths from the base. */
export interface LeafShape {
  readonly at: (along: number, across: number, point: LeafPoint) => void;
  /** Box that holds the leaf, in leaf lengths around the base. */
  readonly back: number;
  readonly reach: number;
  readonly half: number;
}

/** Samples of an outline. */
const STEPS = 360;

/** One value per step, smooth bumps of the given strength: a sum of sines with random phases. */
function makeWaves(rng: Rng, strength: number): (x: number) => number {
  const waves = [2, 3, 5, 9, 14].map(count => ({
    count,
    phase: rng.uniform(0, Math.PI * 2),
    size: (strength * rng.normal()) / Math.sqrt(count),
  }));
  return x => waves.reduce((sum, wave) => sum + wave.size * Math.sin(x * wave.count * Math.PI + wave.phase), 0);
}

/** Saw teeth that lean towards the tip: 1 at a tooth's root, falling to 1 - depth. */
function tooth(x: number, depth: number): number {
  const part = x - Math.floor(x);
  return 1 - depth * (part < 0.75 ? part / 0.75 : (1 - part) / 0.25);
}

function makeFeathered(rng: Rng, kind: Extract<Species, { kind: 'feathered' }>): LeafShape {
  const half = rng.uniform(...kind.half);
  const rise = kind.rise * rng.uniform(0.85, 1.15);
  const fall = kind.fall * rng.uniform(0.85, 1.15);
  const top = rise / (rise + fall);
  const peak = top ** rise * (1 - top) ** fall;
  const lobePhase = rng.next();
  const sides = [makeWaves(rng, 0.035), makeWaves(rng, 0.035)].map(wave => {
    const widths = new Float32Array(STEPS + 2);
    for (let i = 0; i <= STEPS; i++) {
      const t = i / STEPS;
      let width = (t ** rise * (1 - t) ** fall) / peak;
      if (kind.lobes) {
        const hollow = 0.5 + 0.5 * Math.cos(2 * Math.PI * (kind.lobes[1] * t ** 0.9 + lobePhase));
        width *= 1 - kind.lobes[0] * hollow ** 1.4 * smoothstep(1, 0.85, t);
      }
      if (kind.teeth) width *= tooth(t * kind.teeth[1], kind.teeth[0]);
      widths[i] = Math.max(0, half * width * (1 + wave(t)));
    }
    return widths;
  });
  const count = kind.veins[0] + rng.int(kind.veins[1] - kind.veins[0] + 1);
  const slope = kind.slope * rng.uniform(0.8, 1.2);
  const curve = rng.uniform(0.2, 0.9) / half;
  const stagger = rng.chance(0.5) ? 0.5 : 0;
  const lean = 1 / Math.hypot(1, slope);
  return {
    back: 0,
    reach: 1,
    half: half * 1.2,
    at(along, across, point) {
      const distance = Math.abs(across);
      if (along < 0 || along > 1) {
        point.inside = -1;
        return;
      }
      const widths = sides[across < 0 ? 0 : 1]!;
      const x = along * STEPS;
      const step = Math.floor(x);
      const width = mix(widths[step]!, widths[step + 1]!, x - step);
      const steep = Math.min(
        2,
        Math.abs(widths[Math.min(step + 2, STEPS)]! - widths[Math.max(0, step - 2)]!) * (STEPS / 4),
      );
      point.inside = (width - distance) / Math.sqrt(1 + steep * steep);
      point.along = along;
      point.across = width > 0 ? across / width : 0;
      point.main = distance;
      point.mainWidth = mix(0.011, 0.0025, along);
      const turn = (along - distance * slope - distance * distance * curve) * count + (across < 0 ? stagger : 0);
      point.phase = turn - Math.round(turn);
      point.side = turn < 0.35 ? 1 : (Math.abs(point.phase) / count) * lean;
      point.sideWidth = 0.0045 * (1 - 0.75 * Math.min(1, Math.abs(point.across)));
    },
  };
}

function makeHand(rng: Rng, kind: Extract<Species, { kind: 'hand' }>): LeafShape {
  const stretch = rng.uniform(...kind.half);
  const warp = kind.outline.map(() => [rng.uniform(0.92, 1.08), rng.uniform(0.92, 1.08)] as const);
  const wave = makeWaves(rng, 0.02);
  const radii = new Float32Array(2 * STEPS + 2);
  for (let i = 0; i <= 2 * STEPS; i++) {
    const degrees = (i / STEPS) * 180 - 180;
    const seen = Math.abs(degrees);
    let k = 0;
    while (k < kind.outline.length - 2 && kind.outline[k + 1]![0] < seen) k++;
    const [fromDegrees, fromRadius] = kind.outline[k]!;
    const [toDegrees, toRadius] = kind.outline[k + 1]!;
    const side = degrees < 0 ? 0 : 1;
    const part = (seen - fromDegrees) / (toDegrees - fromDegrees);
    // Half straight, half rounded: points stay points, hollows become soft.
    const soft = mix(part, part * part * (3 - 2 * part), 0.5);
    let radius = mix(fromRadius * (k === 0 ? 1 : warp[k]![side]!), toRadius * warp[k + 1]![side]!, soft);
    if (kind.teeth) radius *= tooth((1 - seen / 180) * kind.teeth[1], kind.teeth[0]);
    radii[i] = radius * (1 + wave(degrees / 180));
  }
  const longest = radii.reduce((most, radius) => Math.max(most, radius), 0) + 0.01;
  const rays = kind.rays.flatMap(ray => (ray === 0 ? [0] : [ray, -ray])).map(ray => (ray * Math.PI) / 180);
  const count = kind.veins[0] + rng.int(kind.veins[1] - kind.veins[0] + 1);
  const slope = kind.slope * rng.uniform(0.85, 1.15);
  const lean = 1 / Math.hypot(1, slope);
  return {
    back: 0.55,
    reach: 0.9,
    half: 0.85 * stretch,
    at(along, across, point) {
      const y = across / stretch;
      const radius = Math.sqrt(along * along + y * y);
      if (radius > longest) {
        point.inside = -1;
        return;
      }
      const angle = Math.atan2(y, along);
      const x = (angle / Math.PI + 1) * STEPS;
      const step = Math.min(2 * STEPS - 1, Math.floor(x));
      const edge = mix(radii[step]!, radii[step + 1]!, x - step);
      const before = radii[Math.max(0, step - 3)]!;
      const after = radii[Math.min(2 * STEPS, step + 3)]!;
      const steep = ((after - before) * STEPS) / (6 * Math.PI * Math.max(edge, 0.05));
      point.inside = (edge - radius) / Math.min(4, Math.sqrt(1 + steep * steep));
      let ray = 0;
      let near = 9;
      for (const candidate of rays) {
        const away = Math.abs(angle - candidate);
        if (away < near) {
          near = away;
          ray = candidate;
        }
      }
      const out = radius * Math.cos(angle - ray);
      const off = radius * Math.sin(angle - ray);
      point.along = clamp01(0.3 + along * 0.8);
      point.across = Math.max(-1, Math.min(1, y / 0.45));
      point.main = near < 1.4 ? Math.abs(off) : 1;
      point.mainWidth = Math.max(0.002, 0.009 - 0.009 * radius);
      const turn = (out - Math.abs(off) * slope) * count * 1.3 + (off < 0 ? 0.5 : 0);
      point.phase = turn - Math.round(turn);
      point.side = turn < 0.4 ? 1 : (Math.abs(point.phase) / (count * 1.3)) * lean;
      point.sideWidth = 0.0036 * clamp01(1.2 - radius / Math.max(edge, 0.05));
    },
  };
}

/** A leaf of a random kind. */
export function makeLeafShape(rng: Rng): LeafShape {
  const kind = rng.pick(species);
  return kind.kind === 'feathered' ? makeFeathered(rng, kind) : makeHand(rng, kind);
}

/** An empty point for `LeafShape.at` to fill. */
export function makeLeafPoint(): LeafPoint {
  return { inside: 0, along: 0, across: 0, main: 0, mainWidth: 0, side: 0, sideWidth: 0, phase: 0 };
}
