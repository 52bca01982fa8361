// One leaf on a layer of its own: colour, veins, bulges between them, fold, sheen; and maps that diseases read.
// Layers are laid over the photo afterwards, with a shadow.
import type { Rng } from '../base/rng.ts';
import { boxBlur, type Canvas, clamp01, hex, mix, mixRgb, type Rgb, smoothstep } from './canvas.ts';
import { difficulty } from './difficulty.ts';
import { type LeafShape, makeLeafPoint } from './leaf-shape.ts';
import { sample, textures } from './textures.ts';

/** Where a leaf lies: its base in pixels, direction base to tip in radians, length in pixels. */
export interface LeafPose {
  readonly x: number;
  readonly y: number;
  readonly angle: number;
  readonly length: number;
  /** Foreshortening across, 0.5..1. */
  readonly squash: number;
  /** Sideways bend of the midrib at the tip, in leaf lengths. */
  readonly bend: number;
  /** Length of the stalk, in leaf lengths. */
  readonly stalk: number;
}

/** Colours and surface of a healthy leaf. */
export interface LeafLook {
  readonly base: Rgb;
  readonly dark: Rgb;
  readonly vein: Rgb;
  /** How far veins stand out, 0..1. */
  readonly veining: number;
  readonly mottle: number;
  readonly bulge: number;
  /** Difference in light between the two halves, -0.3..0.3. */
  readonly fold: number;
  /** Cream or pale green parts of variegated varieties. */
  readonly variegation: { readonly colour: Rgb; readonly style: 'margin' | 'patches' | 'veins' } | undefined;
  readonly sheen: number;
}

/** A painted leaf. All maps cover the box at (left, top) of `width` x `height` pixels of the frame. */
export interface LeafLayer {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  readonly rgb: Float32Array;
  /** Opacity 0..1. */
  readonly cover: Float32Array;
  /** Distance to the outline in pixels; 0 outside. */
  readonly inside: Float32Array;
  /** 1 on a vein, 0 between veins. */
  readonly vein: Float32Array;
  /** 0 at the base, 1 at the tip. */
  readonly along: Float32Array;
  /** Length of the whole leaf in pixels. */
  readonly length: number;
}

const greens = ['#2f5524', '#4d7a2a', '#5f8f34', '#7d9c3d', '#6a7a33', '#466d4a', '#29482a', '#88a650', '#587b3e'].map(
  hex,
);
const goldens = ['#a9a23f', '#b7a748', '#9aa034', '#c0b35a'].map(hex);
const purples = ['#5a2e3c', '#6d3a35', '#4b2f3b'].map(hex);
const creams = ['#e6e0b4', '#d6d99a', '#c2d191'].map(hex);

/** Colours of a healthy leaf of some variety, odd ones included. */
export function makeLeafLook(rng: Rng): LeafLook {
  const roll = rng.next();
  const { golden, purple, variegated } = difficulty.varieties;
  const family = roll < golden ? goldens : roll < golden + purple ? purples : greens;
  const tint = (colour: Rgb, spread: number): Rgb => [
    clamp01(colour[0] * (1 + spread * rng.normal())),
    clamp01(colour[1] * (1 + spread * rng.normal())),
    clamp01(colour[2] * (1 + spread * rng.normal())),
  ];
  const base = tint(mixRgb(rng.pick(family), rng.pick(family), rng.next()), 0.08);
  const pale =
    rng.chance(0.12) && family !== purples ? hex('#8a4a44') : mixRgb(base, hex('#dfe6a8'), rng.uniform(0.3, 0.7));
  return {
    base,
    dark: tint([base[0] * 0.68, base[1] * 0.76, base[2] * 0.72], 0.05),
    vein: family === purples ? hex('#93505c') : pale,
    veining: rng.uniform(0.25, 0.8),
    mottle: rng.uniform(0.25, 0.8),
    bulge: rng.uniform(0.03, 0.14),
    fold: rng.uniform(-0.2, 0.2),
    variegation: rng.chance(variegated)
      ? { colour: rng.pick(creams), style: rng.pick(['margin', 'patches', 'veins'] as const) }
      : undefined,
    sheen: rng.chance(difficulty.distractors.gloss) ? rng.uniform(0.35, 0.85) : rng.uniform(0, 0.18),
  };
}

/** Paints a leaf within a frame of the given size; undefined when none of it is in the frame. */
export function paintLeaf(
  rng: Rng,
  frame: Pick<Canvas, 'width' | 'height'>,
  shape: LeafShape,
  pose: LeafPose,
  look: LeafLook,
): LeafLayer | undefined {
  const { soft, rough, edges, grain } = textures();
  const cos = Math.cos(pose.angle);
  const sin = Math.sin(pose.angle);
  const reach = { low: -Math.max(shape.back, pose.stalk) - 0.02, high: shape.reach + 0.02 };
  const half = shape.half * pose.squash + Math.abs(pose.bend) + 0.03;
  const corners = [reach.low, reach.high].flatMap(a =>
    [-half, half].map(b => [pose.x + (a * cos - b * sin) * pose.length, pose.y + (a * sin + b * cos) * pose.length]),
  );
  const left = Math.max(0, Math.floor(Math.min(...corners.map(corner => corner[0]!))));
  const top = Math.max(0, Math.floor(Math.min(...corners.map(corner => corner[1]!))));
  const width = Math.min(frame.width, Math.ceil(Math.max(...corners.map(corner => corner[0]!)))) - left;
  const height = Math.min(frame.height, Math.ceil(Math.max(...corners.map(corner => corner[1]!)))) - top;
  if (width < 2 || height < 2) return undefined;

  const size = width * height;
  const layer: LeafLayer = {
    left,
    top,
    width,
    height,
    rgb: new Float32Array(size * 3),
    cover: new Float32Array(size),
    inside: new Float32Array(size),
    vein: new Float32Array(size),
    along: new Float32Array(size),
    length: pose.length,
  };
  const [ox, oy] = [rng.uniform(0, 256), rng.uniform(0, 256)];
  const netScale = rng.uniform(420, 700);
  const cloudScale = rng.uniform(50, 130);
  const marginWidth = rng.uniform(0.02, 0.06);
  const patchShare = rng.uniform(0.15, 0.4);
  // Small leaves are those out of focus: their net of veins would be blurred away.
  const detailed = pose.length > 90;
  const fibre = Math.min(1, pose.length / 220);
  const sheenAt = [rng.uniform(0.2, 0.8), rng.uniform(-0.5, 0.5)] as const;
  const point = makeLeafPoint();

  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const dx = left + x + 0.5 - pose.x;
      const dy = top + y + 0.5 - pose.y;
      const along = (dx * cos + dy * sin) / pose.length;
      const bent = (dy * cos - dx * sin) / pose.length - pose.bend * along * along;
      const across = bent / pose.squash;
      const i = y * width + x;
      point.inside = -1;
      if (along < reach.high && Math.abs(across) < shape.half + 0.02) shape.at(along, across, point);
      const edgePixels = point.inside * pose.length * pose.squash;
      const cover = clamp01(edgePixels + 0.5);
      const stalkWidth = 0.011 + 0.004 * Math.max(0, -along - pose.stalk * 0.8) * 10;
      const onStalk =
        along < 0.03 && along > -pose.stalk ? clamp01((stalkWidth - Math.abs(bent)) * pose.length + 0.5) : 0;
      if (cover === 0 && onStalk === 0) continue;

      const u = ox + along * netScale;
      const v = oy + across * netScale;
      const cloud = sample(soft, ox + along * cloudScale, oy + across * cloudScale);
      const fine = detailed ? sample(rough, u * 0.5, v * 0.5) : 0.5;
      const blur = 0.6 / pose.length;
      const mainVein = smoothstep(point.mainWidth + blur, point.mainWidth * 0.4, point.main);
      const sideVein = smoothstep(point.sideWidth + blur, point.sideWidth * 0.3, point.side) * 0.75;
      const net = detailed ? smoothstep(0.16, 0, sample(edges, u, v)) * 0.22 * fibre : 0;
      const vein = Math.max(mainVein, sideVein, net);
      const tone = clamp01(0.5 + (cloud - 0.5) * look.mottle * 1.3 + (fine - 0.5) * 0.3);
      let red = mix(look.base[0], look.dark[0], tone);
      let green = mix(look.base[1], look.dark[1], tone);
      let blue = mix(look.base[2], look.dark[2], tone);
      if (look.variegation) {
        const { colour: cream, style } = look.variegation;
        const amount =
          style === 'margin'
            ? smoothstep(marginWidth * (0.6 + cloud), marginWidth * (0.4 + cloud) * 0.6, point.inside)
            : style === 'patches'
              ? smoothstep(patchShare, patchShare - 0.06, sample(rough, ox + along * 60, oy + across * 160))
              : smoothstep(0.28, 0.05, Math.abs(point.phase)) * smoothstep(0.9, 0.4, Math.abs(point.across)) * 0.75;
        red = mix(red, cream[0], amount * 0.9);
        green = mix(green, cream[1], amount * 0.9);
        blue = mix(blue, cream[2], amount * 0.9);
      }
      red = mix(red, look.vein[0], vein * look.veining);
      green = mix(green, look.vein[1], vein * look.veining);
      blue = mix(blue, look.vein[2], vein * look.veining);
      // Light: the two halves of the fold, bulges lit from one side, slow waves, the curl of the rim.
      const bulge = Math.sin(point.phase * 2 * Math.PI) * look.bulge * smoothstep(0.02, 0.06, point.main);
      const light =
        1 +
        look.fold * Math.tanh(across * 40) +
        bulge +
        (sample(soft, oy + along * 40, ox + across * 40) - 0.5) * 0.28 +
        (sample(grain, (left + x) * 0.9 + ox, (top + y) * 0.9 + oy) - 0.5) * 0.07 -
        smoothstep(0.02, 0, point.inside) * 0.1;
      const sheenShape =
        look.sheen < 0.05
          ? 0
          : smoothstep(0.55, 0, Math.hypot((along - sheenAt[0]) * 1.6, (point.across - sheenAt[1]) * 0.8)) *
            smoothstep(0.35, 0.8, sample(soft, oy + along * 70, ox + across * 150));
      const sheen = look.sheen * sheenShape * (0.75 + bulge * 3);
      if (onStalk > cover) {
        const part = 0.3 + 0.4 * clamp01(bent * 60 + 0.5);
        red = mix(look.vein[0], look.dark[0], part);
        green = mix(look.vein[1], look.dark[1], part);
        blue = mix(look.vein[2], look.dark[2], part);
      }
      const at = i * 3;
      layer.rgb[at] = mix(red * light, 0.86, sheen);
      layer.rgb[at + 1] = mix(green * light, 0.9, sheen);
      layer.rgb[at + 2] = mix(blue * light, 0.93, sheen);
      layer.cover[i] = Math.max(cover, onStalk);
      layer.inside[i] = cover > 0 ? Math.max(0, edgePixels) : 0;
      layer.vein[i] = vein;
      layer.along[i] = clamp01(along);
    }
  }
  return layer;
}

/** Lays a leaf over the canvas; its shadow falls `shift` pixels away, blurred by `softness` pixels. */
export function layOver(
  canvas: Canvas,
  layer: LeafLayer,
  shadow: { readonly shift: readonly [number, number]; readonly softness: number; readonly depth: number },
): void {
  const { left, top, width, height } = layer;
  if (shadow.depth > 0) {
    const pad = Math.ceil(shadow.softness * 2 + 1);
    const [w, h] = [width + 2 * pad, height + 2 * pad];
    const dark = new Float32Array(w * h);
    for (let y = 0; y < height; y++) dark.set(layer.cover.subarray(y * width, (y + 1) * width), (y + pad) * w + pad);
    boxBlur(dark, w, h, 1, Math.round(shadow.softness), 2);
    const [sx, sy] = [left - pad + Math.round(shadow.shift[0]), top - pad + Math.round(shadow.shift[1])];
    for (let y = Math.max(0, -sy); y < Math.min(h, canvas.height - sy); y++) {
      for (let x = Math.max(0, -sx); x < Math.min(w, canvas.width - sx); x++) {
        const amount = dark[y * w + x]!;
        if (amount === 0) continue;
        const at = ((sy + y) * canvas.width + sx + x) * 3;
        const factor = 1 - shadow.depth * amount;
        canvas.rgb[at] = canvas.rgb[at]! * factor;
        canvas.rgb[at + 1] = canvas.rgb[at + 1]! * factor;
        canvas.rgb[at + 2] = canvas.rgb[at + 2]! * factor;
      }
    }
  }
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const i = y * width + x;
      const cover = layer.cover[i]!;
      if (cover === 0) continue;
      const at = ((top + y) * canvas.width + left + x) * 3;
      canvas.rgb[at] = mix(canvas.rgb[at]!, layer.rgb[i * 3]!, cover);
      canvas.rgb[at + 1] = mix(canvas.rgb[at + 1]!, layer.rgb[i * 3 + 1]!, cover);
      canvas.rgb[at + 2] = mix(canvas.rgb[at + 2]!, layer.rgb[i * 3 + 2]!, cover);
    }
  }
}
