// What ails a leaf: spots, blight, rust, holes, chlorosis, mildew and mines, each a painter on a leaf's layer.
// Strength runs from hardly visible (0) to severe (1); placement, size and colour are random.
import type { Rng } from '../base/rng.ts';
import { blend, boxBlur, clamp01, hex, mix, mixRgb, shade, smoothstep } from './canvas.ts';
import { difficulty } from './difficulty.ts';
import type { LeafLayer } from './paint-leaf.ts';
import { sample, textures } from './textures.ts';

/** Strength 0..1 and opacity 0..1 of a disease. */
export interface Severity {
  readonly strength: number;
  readonly opacity: number;
}

type Paint = (rng: Rng, leaf: LeafLayer, severity: Severity) => void;

const browns = ['#5a3a1e', '#6e4726', '#7d5a33', '#4a2f1c', '#3b2a20'].map(hex);
const tans = ['#b08d58', '#a37c4a', '#c4a878', '#9a7a52', '#bcae97'].map(hex);
const yellows = ['#c9bb3f', '#d3c25a', '#b8b548', '#d1b048'].map(hex);
const rusts = ['#a6511c', '#b8641f', '#8f431a', '#c4762a'].map(hex);

/** A pixel well inside the leaf, `clearance` pixels from the outline where possible. */
function pickPlace(rng: Rng, leaf: LeafLayer, clearance: number): readonly [number, number] {
  let best: readonly [number, number] = [leaf.width / 2, leaf.height / 2];
  let depth = -1;
  for (let attempt = 0; attempt < 400; attempt++) {
    const x = rng.int(leaf.width);
    const y = rng.int(leaf.height);
    const inside = leaf.inside[y * leaf.width + x]!;
    if (inside > depth) {
      best = [x, y];
      depth = inside;
    }
    if (inside > clearance) return [x, y];
  }
  return best;
}

/** Calls `paint` for each pixel of the leaf around (cx, cy) with its distance in radii; the outline is ragged. */
function eachAround(
  rng: Rng,
  leaf: LeafLayer,
  [cx, cy]: readonly [number, number],
  radius: number,
  ragged: number,
  paint: (pixel: number, distance: number) => void,
  limit = 1.7,
): void {
  const { rough } = textures();
  const [ox, oy, turn, oval] = [rng.uniform(0, 256), rng.uniform(0, 256), rng.uniform(0, 3.14), rng.uniform(1, 1.5)];
  const [cos, sin] = [Math.cos(turn), Math.sin(turn)];
  const far = radius * limit * oval;
  for (let y = Math.max(0, Math.floor(cy - far)); y <= Math.min(leaf.height - 1, cy + far); y++) {
    for (let x = Math.max(0, Math.floor(cx - far)); x <= Math.min(leaf.width - 1, cx + far); x++) {
      const pixel = y * leaf.width + x;
      if (leaf.inside[pixel]! <= 0) continue;
      const u = (x - cx) * cos + (y - cy) * sin;
      const v = (y - cy) * cos - (x - cx) * sin;
      const noise = sample(rough, ox + ((x - cx) / radius) * 9, oy + ((y - cy) / radius) * 9) - 0.5;
      const distance = Math.hypot(u / oval, v) / radius + noise * ragged;
      if (distance < limit) paint(pixel, distance);
    }
  }
}

/** Brown or black spots with a darker rim or a pale middle, most with a yellow halo. */
const spots: Paint = (rng, leaf, { strength, opacity }) => {
  const count = Math.round(difficulty.lesionCount * mix(4, 26, strength * rng.uniform(0.5, 1)));
  const [core, rim, halo] = [rng.chance(0.5) ? rng.pick(browns) : rng.pick(tans), rng.pick(browns), rng.pick(yellows)];
  const haloStrength = rng.chance(0.75) ? rng.uniform(0.3, 0.85) : 0;
  const typical = difficulty.lesionSize * leaf.length * mix(0.011, 0.028, rng.next());
  for (let k = 0; k < count; k++) {
    const radius = Math.max(1.6, typical * Math.exp(0.45 * rng.normal()) * mix(0.8, 1.25, strength));
    eachAround(rng, leaf, pickPlace(rng, leaf, radius * 0.6), radius, 0.45, (pixel, distance) => {
      blend(leaf.rgb, pixel, halo, haloStrength * smoothstep(1.7, 0.9, distance));
      const inner = mixRgb(core, rim, smoothstep(0.35, 0.8, distance));
      blend(leaf.rgb, pixel, inner, opacity * smoothstep(1.05, 0.8, distance));
    });
  }
};

/** Browning that eats in from the rim or tip, with a yellow front. */
const blight: Paint = (rng, leaf, { strength, opacity }) => {
  const { soft, rough } = textures();
  const [ox, oy] = [rng.uniform(0, 256), rng.uniform(0, 256)];
  const depth = difficulty.lesionSize * leaf.length * mix(0.025, 0.12, strength);
  const fromTip = rng.chance(0.45);
  const tipPart = mix(0.12, 0.4, strength);
  const share = mix(0.35, 0.85, strength);
  const [dead, dry, front] = [rng.pick(browns), rng.pick(tans), rng.pick(yellows)];
  // Smoothed: the teeth of the outline would otherwise be drawn as stripes across the leaf.
  const depths = leaf.inside.slice();
  boxBlur(depths, leaf.width, leaf.height, 1, Math.max(1, Math.round(leaf.length * 0.02)), 2);
  for (let y = 0; y < leaf.height; y++) {
    for (let x = 0; x < leaf.width; x++) {
      const pixel = y * leaf.width + x;
      if (leaf.inside[pixel]! <= 0) continue;
      const noise = sample(rough, ox + (x / leaf.length) * 70, oy + (y / leaf.length) * 70) - 0.5;
      const zone = smoothstep(
        share,
        share - 0.25,
        sample(soft, oy + (x / leaf.length) * 26, ox + (y / leaf.length) * 26),
      );
      const rim = 1 - depths[pixel]! / (depth * (0.35 + zone)) + zone * 0.2;
      const tip = fromTip ? (leaf.along[pixel]! - 1 + tipPart) / tipPart : -1;
      const reach = Math.max(zone > 0.05 ? rim : -1, tip) + noise * 0.8;
      if (reach < -0.45) continue;
      blend(leaf.rgb, pixel, front, 0.6 * smoothstep(-0.4, 0, reach));
      blend(leaf.rgb, pixel, mixRgb(dead, dry, clamp01(reach * 0.8 + noise)), opacity * smoothstep(0, 0.18, reach));
    }
  }
};

/** Many small orange-brown pustules, in loose groups, each with a pale ring. */
const rust: Paint = (rng, leaf, { strength, opacity }) => {
  const groups = 1 + rng.int(4);
  const total = Math.round(difficulty.lesionCount * mix(25, 170, strength));
  const tint = rng.pick(rusts);
  const typical = Math.max(1.1, difficulty.lesionSize * leaf.length * rng.uniform(0.0045, 0.009));
  for (let g = 0; g < groups; g++) {
    const middle = pickPlace(rng, leaf, leaf.length * 0.05);
    const spread = leaf.length * rng.uniform(0.07, 0.22);
    for (let k = 0; k < total / groups; k++) {
      const place = [middle[0] + rng.normal() * spread, middle[1] + rng.normal() * spread] as const;
      const radius = typical * rng.uniform(0.7, 1.6);
      const colour = mixRgb(tint, rng.pick(rusts), rng.next());
      eachAround(rng, leaf, place, radius, 0.3, (pixel, distance) => {
        blend(leaf.rgb, pixel, yellows[0]!, 0.4 * smoothstep(1.7, 1, distance));
        blend(leaf.rgb, pixel, colour, opacity * smoothstep(1.15, 0.6, distance));
      });
    }
  }
};

/** Holes that insects ate: what lies behind shows through, the rim is brown. */
const holes: Paint = (rng, leaf, { strength, opacity }) => {
  const count = Math.round(difficulty.lesionCount * mix(3, 14, strength * rng.uniform(0.5, 1)));
  const rim = rng.pick(browns);
  const typical = difficulty.lesionSize * leaf.length * rng.uniform(0.014, 0.036);
  for (let k = 0; k < count; k++) {
    const radius = Math.max(2.2, typical * Math.exp(0.5 * rng.normal()));
    const place = pickPlace(rng, leaf, rng.chance(0.25) ? 0 : radius);
    eachAround(rng, leaf, place, radius, 0.6, (pixel, distance) => {
      blend(leaf.rgb, pixel, rim, opacity * smoothstep(1.35, 1.02, distance));
      leaf.cover[pixel] = leaf.cover[pixel]! * smoothstep(0.86, 1, distance);
    });
  }
};

/** Yellowing between veins that stay green, in part of the leaf. */
const chlorosis: Paint = (rng, leaf, { strength, opacity }) => {
  const { soft } = textures();
  const [ox, oy] = [rng.uniform(0, 256), rng.uniform(0, 256)];
  const share = mix(0.4, 1.1, strength);
  const yellow = mixRgb(rng.pick(yellows), hex('#e5dda0'), rng.uniform(0, 0.5));
  const far = leaf.length * rng.uniform(0.012, 0.03);
  const map = new Float32Array(leaf.vein.length);
  // Distance from veins by spreading them: the yellow starts a few pixels away.
  for (let i = 0; i < map.length; i++) map[i] = leaf.vein[i]! > 0.35 ? 1 : 0;
  boxBlur(map, leaf.width, leaf.height, 1, Math.max(1, Math.round(far / 2)), 1);
  for (let y = 0; y < leaf.height; y++) {
    for (let x = 0; x < leaf.width; x++) {
      const pixel = y * leaf.width + x;
      if (leaf.inside[pixel]! <= 0) continue;
      const zone = smoothstep(
        share,
        share - 0.3,
        sample(soft, ox + (x / leaf.length) * 24, oy + (y / leaf.length) * 24),
      );
      const between = 1 - smoothstep(0.12, 0.6, map[pixel]!);
      blend(leaf.rgb, pixel, yellow, opacity * 0.85 * zone * between);
    }
  }
};

/** White powder in soft, grainy patches. */
const mildew: Paint = (rng, leaf, { strength, opacity }) => {
  const { grain, rough } = textures();
  const count = Math.round(difficulty.lesionCount * mix(3, 11, strength));
  const white = mixRgb(hex('#e8e8e0'), hex('#c9cdc4'), rng.next());
  for (let k = 0; k < count; k++) {
    const radius = leaf.length * rng.uniform(0.03, 0.09) * mix(0.7, 1.2, strength);
    const [ox, oy] = [rng.uniform(0, 256), rng.uniform(0, 256)];
    eachAround(rng, leaf, pickPlace(rng, leaf, 2), radius, 0.9, (pixel, distance) => {
      const x = pixel % leaf.width;
      const y = (pixel - x) / leaf.width;
      const powder = 0.45 + 0.5 * sample(rough, ox + x * 1.7, oy + y * 1.7) + 0.35 * (sample(grain, x, y + ox) - 0.5);
      blend(leaf.rgb, pixel, white, clamp01(opacity * 0.85 * powder * smoothstep(1.4, 0.1, distance)));
    });
  }
};

/** Pale winding tunnels of leaf miners, a dark thread inside. */
const mines: Paint = (rng, leaf, { strength, opacity }) => {
  const count = 1 + Math.round(difficulty.lesionCount * strength * 3 * rng.next());
  const pale = mixRgb(hex('#d9d6b0'), hex('#b9b48a'), rng.next());
  for (let k = 0; k < count; k++) {
    let [x, y] = pickPlace(rng, leaf, leaf.length * 0.03) as [number, number];
    let heading = rng.uniform(0, 2 * Math.PI);
    const steps = Math.round(mix(25, 80, strength));
    const width = Math.max(1.3, leaf.length * rng.uniform(0.006, 0.011));
    for (let s = 0; s < steps; s++) {
      const radius = width * mix(0.6, 1.3, s / steps);
      heading += 0.35 * rng.normal();
      const [nx, ny] = [x + Math.cos(heading) * radius * 1.1, y + Math.sin(heading) * radius * 1.1];
      const next = leaf.inside[Math.round(ny) * leaf.width + Math.round(nx)] ?? 0;
      if (next < radius || nx < 0 || ny < 0 || nx >= leaf.width - 1) {
        heading += 1.2;
        continue;
      }
      [x, y] = [nx, ny];
      eachAround(
        rng,
        leaf,
        [x, y],
        radius,
        0.15,
        (pixel, distance) => {
          blend(leaf.rgb, pixel, pale, 0.5 * opacity * smoothstep(1.1, 0.7, distance));
          if (distance < 0.3) shade(leaf.rgb, pixel, 0.9);
        },
        1.2,
      );
    }
  }
};

/** All diseases by name. */
export const diseases = { spots, blight, rust, holes, chlorosis, mildew, mines } satisfies Record<string, Paint>;

/** Name of a disease. */
export type Disease = keyof typeof diseases;

/** How often each disease is drawn, as weights. */
const shares: Readonly<Record<Disease, number>> = {
  spots: 5,
  blight: 3,
  rust: 3,
  holes: 3,
  chlorosis: 2,
  mildew: 2,
  mines: 1,
};

/** Picks a disease by its share. */
export function pickDisease(rng: Rng): Disease {
  const names = Object.keys(shares) as Disease[];
  let left = rng.next() * names.reduce((sum, name) => sum + shares[name], 0);
  for (const name of names) {
    left -= shares[name];
    if (left < 0) return name;
  }
  return 'spots';
}
