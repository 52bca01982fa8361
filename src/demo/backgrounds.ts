// What lies behind the leaves: soil, wood, paper, stone, foliage out of focus, lights out of focus.
// Each background says whether it is a surface on which a leaf throws a shadow.
import type { Rng } from '../base/rng.ts';
import {
  blend,
  boxBlur,
  type Canvas,
  clamp01,
  enlarge,
  hex,
  makeCanvas,
  mix,
  mixRgb,
  type Rgb,
  smoothstep,
} from './canvas.ts';
import { makeLeafShape } from './leaf-shape.ts';
import { layOver, makeLeafLook, paintLeaf } from './paint-leaf.ts';
import { sample, textures } from './textures.ts';

/** A painted background; `surface` is true where leaves lie on it. */
export interface Background {
  readonly canvas: Canvas;
  readonly surface: boolean;
}

type Paint = (rng: Rng, width: number, height: number) => Background;

/** Paints every pixel from its position in units of 1/100 of the width, turned by a random angle. */
function paintEach(
  rng: Rng,
  width: number,
  height: number,
  turned: boolean,
  paint: (u: number, v: number, x: number, y: number) => Rgb,
): Canvas {
  const canvas = makeCanvas(width, height);
  const turn = turned ? rng.uniform(0, Math.PI) : 0;
  const [cos, sin, unit] = [Math.cos(turn), Math.sin(turn), 100 / width];
  const [ox, oy] = [rng.uniform(0, 256), rng.uniform(0, 256)];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const colour = paint(ox + (x * cos + y * sin) * unit, oy + (y * cos - x * sin) * unit, x, y);
      const at = (y * width + x) * 3;
      canvas.rgb[at] = colour[0];
      canvas.rgb[at + 1] = colour[1];
      canvas.rgb[at + 2] = colour[2];
    }
  }
  return canvas;
}

const soil: Paint = (rng, width, height) => {
  const { soft, rough, edges, shades, grain } = textures();
  const [dark, light] = rng
    .pick([
      ['#2b1f16', '#6b5138'],
      ['#3a2c22', '#8a7258'],
      ['#1f1a17', '#51453a'],
      ['#4a3526', '#9b7a55'],
    ] as const)
    .map(hex) as [Rgb, Rgb];
  const pebble = rng.uniform(2.2, 5);
  const loose = rng.uniform(0.25, 0.9);
  const canvas = paintEach(rng, width, height, true, (u, v, x, y) => {
    // Two sizes of crumbs, pushed about by noise so that their borders do not read as tiles.
    const du = sample(rough, u * 2.1, v * 2.1) * 16;
    const dv = sample(rough, v * 2.3, u * 2.3) * 16;
    const lump = smoothstep(0, 0.4, sample(edges, u * pebble + du, v * pebble + dv));
    const small = smoothstep(0, 0.5, sample(edges, v * pebble * 2.3 + dv, u * pebble * 2.3 + du));
    const tone = sample(shades, u * pebble + du, v * pebble + dv);
    const crumbs = sample(rough, u * 5.3, v * 5.3);
    const part = clamp01(0.08 + 0.4 * tone * tone + 0.25 * crumbs + 0.3 * sample(soft, u * 0.7, v * 0.7));
    const light2 = 0.55 + loose * (0.3 * lump + 0.25 * small) + 0.3 * crumbs + 0.3 * (sample(grain, x, y) - 0.5);
    return [
      mix(dark[0], light[0], part) * light2,
      mix(dark[1], light[1], part) * light2,
      mix(dark[2], light[2], part) * light2,
    ];
  });
  return { canvas, surface: true };
};

const wood: Paint = (rng, width, height) => {
  const { soft, rough, grain } = textures();
  const [dark, light] = rng
    .pick([
      ['#6d4a2c', '#b98c5c'],
      ['#8b6a48', '#d3b489'],
      ['#4a3324', '#7d5b40'],
      ['#77706a', '#b5aea4'],
    ] as const)
    .map(hex) as [Rgb, Rgb];
  const plank = rng.uniform(28, 70);
  const ringing = rng.uniform(0.6, 1.6);
  const canvas = paintEach(rng, width, height, true, (u, v, x, y) => {
    const board = Math.floor(v / plank);
    const shift = board * 37.7;
    const wander = sample(soft, u * 0.35 + shift, v * 0.6 + shift);
    const rings = 0.5 + 0.5 * Math.sin((v * ringing + wander * 26) * 1.7);
    const fibre = sample(rough, u * 0.45 + shift, v * 7);
    const tone = clamp01(0.2 + 0.35 * rings * fibre + 0.45 * fibre + ((board * 7) % 5) * 0.04);
    const colour = mixRgb(dark, light, tone);
    const joint = Math.abs(v / plank - Math.round(v / plank)) * plank;
    const shadeHere = (1 - 0.6 * smoothstep(0.7, 0.15, joint)) * (0.97 + 0.06 * sample(grain, x, y));
    return [colour[0] * shadeHere, colour[1] * shadeHere, colour[2] * shadeHere];
  });
  return { canvas, surface: true };
};

const paper: Paint = (rng, width, height) => {
  const { soft, rough, grain } = textures();
  const sheet = hex(rng.pick(['#e9e6df', '#dcdcdc', '#efe8d6', '#c9ced1', '#b9a88c', '#3b4046', '#8fa0ad']));
  const squares = rng.chance(0.15) ? rng.uniform(5, 9) : 0;
  const canvas = paintEach(rng, width, height, true, (u, v, x, y) => {
    let tone = 0.93 + 0.06 * sample(soft, u * 0.6, v * 0.6) + 0.05 * (sample(rough, u * 3, v * 3) - 0.5);
    tone += 0.03 * (sample(grain, x, y) - 0.5);
    if (squares > 0) {
      const line = Math.min(
        Math.abs(u / squares - Math.round(u / squares)),
        Math.abs(v / squares - Math.round(v / squares)),
      );
      tone *= 1 - 0.16 * smoothstep(0.05, 0.02, line);
    }
    return [sheet[0] * tone, sheet[1] * tone, sheet[2] * tone];
  });
  return { canvas, surface: true };
};

const stone: Paint = (rng, width, height) => {
  const { soft, rough, grain, edges } = textures();
  const base = hex(rng.pick(['#8d8a84', '#a39c90', '#6f7274', '#b3aba0']));
  const canvas = paintEach(rng, width, height, true, (u, v, x, y) => {
    const crack = smoothstep(0.03, 0.005, sample(edges, u * 0.35 + sample(rough, u, v) * 3, v * 0.35));
    const tone =
      (0.72 + 0.28 * sample(soft, u * 1.4, v * 1.4) + 0.3 * (sample(rough, u * 5, v * 5) - 0.5)) * (1 - 0.35 * crack) +
      0.16 * (sample(grain, x, y) - 0.5);
    return [base[0] * tone, base[1] * tone * 0.99, base[2] * tone * 0.97];
  });
  return { canvas, surface: true };
};

/** Foliage behind the plane of focus: leaves painted small, blurred, enlarged; some of them brown, as in any hedge. */
const foliage: Paint = (rng, width, height) => {
  const [w, h] = [Math.ceil(width / 3), Math.ceil(height / 3)];
  const ground = mixRgb(hex('#1c2a17'), hex('#5a6d3c'), rng.next());
  const canvas = makeCanvas(w, h, rng.chance(0.2) ? hex('#4a3d2a') : ground);
  const count = 9 + rng.int(14);
  for (let k = 0; k < count; k++) {
    const pose = {
      x: rng.uniform(-0.1, 1.1) * w,
      y: rng.uniform(-0.1, 1.1) * h,
      angle: rng.uniform(0, 2 * Math.PI),
      length: w * rng.uniform(0.25, 0.6),
      squash: rng.uniform(0.5, 1),
      bend: rng.uniform(-0.15, 0.15),
      stalk: 0.15,
    };
    const look = makeLeafLook(rng);
    const wilted = rng.chance(0.1) ? { ...look, base: hex('#8a6a3a'), dark: hex('#5d4526') } : look;
    const layer = paintLeaf(rng, canvas, makeLeafShape(rng), pose, wilted);
    const depth = mix(0.45, 1, k / count) * rng.uniform(0.8, 1.1);
    if (!layer) continue;
    for (let i = 0; i < layer.rgb.length; i++) layer.rgb[i] = layer.rgb[i]! * depth;
    layOver(canvas, layer, { shift: [1, 3], softness: 3, depth: 0.5 });
  }
  boxBlur(canvas.rgb, w, h, 3, 1 + Math.round(w * rng.uniform(0.008, 0.04)), 2);
  return { canvas: enlarge(canvas, width, height), surface: false };
};

/** Far things and lights melt into discs. */
const bokeh: Paint = (rng, width, height) => {
  const [w, h] = [Math.ceil(width / 2), Math.ceil(height / 2)];
  const { soft } = textures();
  const family = rng
    .pick([
      ['#20331b', '#6f8f3f', '#c9d68a'],
      ['#2a2d22', '#85795a', '#d8c79a'],
      ['#3c4c58', '#93a9b0', '#e6efe9'],
      ['#1b2415', '#4f6b2d', '#a7ba66'],
      ['#4a3a2a', '#a07c4c', '#e0c48c'],
    ] as const)
    .map(hex) as [Rgb, Rgb, Rgb];
  const canvas = paintEach(rng, w, h, false, (u, v) => mixRgb(family[0], family[1], sample(soft, u * 0.5, v * 0.5)));
  boxBlur(canvas.rgb, w, h, 3, Math.round(w * 0.05), 2);
  const count = 5 + rng.int(28);
  const typical = w * rng.uniform(0.03, 0.08);
  for (let k = 0; k < count; k++) {
    const [cx, cy, radius] = [rng.uniform(0, w), rng.uniform(0, h), typical * rng.uniform(0.6, 1.3)];
    const colour = mixRgb(family[1], family[2], rng.next());
    const strength = rng.uniform(0.12, 0.5);
    for (let y = Math.max(0, Math.floor(cy - radius)); y < Math.min(h, cy + radius + 1); y++) {
      for (let x = Math.max(0, Math.floor(cx - radius)); x < Math.min(w, cx + radius + 1); x++) {
        const distance = Math.hypot(x - cx, y - cy) / radius;
        blend(canvas.rgb, y * w + x, colour, strength * smoothstep(1, 0.9, distance) * (0.75 + 0.25 * distance ** 4));
      }
    }
  }
  boxBlur(canvas.rgb, w, h, 3, 1, 1);
  return { canvas: enlarge(canvas, width, height), surface: false };
};

const kinds: readonly (readonly [share: number, paint: Paint])[] = [
  [4, foliage],
  [2.5, bokeh],
  [2, soil],
  [1.5, wood],
  [1.5, paper],
  [1, stone],
];

/** Paints a random background. */
export function paintBackground(rng: Rng, width: number, height: number): Background {
  let left = rng.next() * kinds.reduce((sum, [share]) => sum + share, 0);
  for (const [share, paint] of kinds) {
    left -= share;
    if (left < 0) return paint(rng, width, height);
  }
  return soil(rng, width, height);
}
