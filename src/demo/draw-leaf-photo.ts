// Draws one photo of healthy or sick leaves: background, leaves with their ailments, distractors, light and camera.
// Every number comes from a stream keyed by seed, class and index, so that a photo never depends on the others.
import sharp from 'sharp';
import { GraftError } from '../base/errors.ts';
import { makeRng, type Rng } from '../base/rng.ts';
import { paintBackground } from './backgrounds.ts';
import { type Canvas, mix, shade, smoothstep, softBlur } from './canvas.ts';
import { difficulty } from './difficulty.ts';
import { diseases, pickDisease } from './diseases.ts';
import { addDistractors } from './distractors.ts';
import { type LeafShape, makeLeafShape } from './leaf-shape.ts';
import { type LeafLook, type LeafPose, layOver, makeLeafLook, paintLeaf } from './paint-leaf.ts';
import { sample, textures } from './textures.ts';

/** What `drawLeafPhoto` draws. */
export interface LeafPhotoOptions {
  /** Any whole number; the same seed gives the same photos. */
  readonly seed: number;
  /** Number of the photo within its class, from 0. */
  readonly index: number;
  readonly healthy: boolean;
  /** Longer edge in pixels, 64..1024. Default: between 320 and 360, by the photo. */
  readonly size?: number;
}

/** Widths and heights of the pretended cameras, as parts of the longer edge. */
const formats = [
  [1, 0.75],
  [1, 0.75],
  [0.75, 1],
  [1, 1],
  [1, 0.5625],
] as const;

interface Placed {
  readonly pose: LeafPose;
  readonly shape: LeafShape;
  readonly look: LeafLook;
}

/** The leaf that the photo is about: large, near the middle, sometimes partly out of the frame. */
function placeMain(rng: Rng, width: number, height: number, shape: LeafShape): LeafPose {
  const frame = Math.min(width, height);
  const length = frame * rng.uniform(...difficulty.leafLength);
  const angle = rng.uniform(0, 2 * Math.PI);
  const [cx, cy] = [width * (0.5 + 0.1 * rng.normal()), height * (0.5 + 0.1 * rng.normal())];
  // The base is so far from the leaf's middle, in leaf lengths.
  const middle = (shape.reach - shape.back) / 2;
  return {
    x: cx - Math.cos(angle) * length * middle,
    y: cy - Math.sin(angle) * length * middle,
    angle,
    length,
    squash: rng.uniform(0.72, 1),
    bend: 0.11 * rng.normal(),
    stalk: rng.uniform(0.05, 0.35),
  };
}

/** Other leaves of the same plant: around the same stalk, or lying about. The main leaf comes last, on top. */
function placeLeaves(rng: Rng, width: number, height: number): Placed[] {
  const shape = makeLeafShape(rng);
  const look = makeLeafLook(rng);
  const main: Placed = { pose: placeMain(rng, width, height, shape), shape, look };
  const others = rng.pick([0, 0, 0, 1, 1, 2, 3, 4]);
  const together = rng.chance(0.6);
  const placed: Placed[] = [];
  for (let k = 0; k < others; k++) {
    const lean = main.pose.angle + (k % 2 === 0 ? 1 : -1) * rng.uniform(0.7, 1.5) * (1 + Math.floor(k / 2) * 0.6);
    const stalkEnd = main.pose.stalk * main.pose.length;
    const pose: LeafPose = together
      ? {
          ...main.pose,
          x: main.pose.x - Math.cos(main.pose.angle) * stalkEnd * 0.6,
          y: main.pose.y - Math.sin(main.pose.angle) * stalkEnd * 0.6,
          angle: lean,
          length: main.pose.length * rng.uniform(0.6, 1),
          squash: rng.uniform(0.6, 1),
          bend: 0.12 * rng.normal(),
        }
      : {
          ...main.pose,
          x: rng.uniform(0, width),
          y: rng.uniform(0, height),
          angle: rng.uniform(0, 2 * Math.PI),
          length: main.pose.length * rng.uniform(0.5, 0.95),
          bend: 0.12 * rng.normal(),
        };
    const sameKind = together || rng.chance(0.5);
    placed.push({ pose, shape: sameKind ? shape : makeLeafShape(rng), look: sameKind ? look : makeLeafLook(rng) });
  }
  placed.push(main);
  return placed;
}

/** Light across the scene: a slow gradient, darker corners, and sometimes the edge of a large shadow. */
function light(rng: Rng, canvas: Canvas): void {
  const { width, height, rgb } = canvas;
  const { soft } = textures();
  const turn = rng.uniform(0, 2 * Math.PI);
  const [gx, gy] = [Math.cos(turn) * rng.uniform(0, 0.32), Math.sin(turn) * rng.uniform(0, 0.32)];
  const corners = rng.uniform(0, 0.3);
  const shadowDepth = rng.chance(0.3) ? rng.uniform(0.2, 0.5) : 0;
  const [ox, oy, share] = [rng.uniform(0, 256), rng.uniform(0, 256), rng.uniform(0.25, 0.6)];
  const edge = rng.uniform(0.03, 0.14);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const u = x / width - 0.5;
      const v = y / height - 0.5;
      let factor = 1 + u * gx * 2 + v * gy * 2 - corners * (u * u + v * v) * 2;
      if (shadowDepth > 0) {
        factor *= 1 - shadowDepth * smoothstep(share, share - edge, sample(soft, ox + u * 34, oy + v * 34));
      }
      shade(rgb, y * width + x, factor);
    }
  }
}

/** The camera: white balance, exposure, contrast, blur, noise, 8 bits. */
function develop(rng: Rng, canvas: Canvas): Uint8ClampedArray {
  const scale = Math.max(canvas.width, canvas.height) / 360;
  softBlur(canvas, rng.uniform(...difficulty.blur) * scale);
  if (rng.chance(0.15)) softBlur(canvas, 0.8 * scale);
  const exposure = rng.uniform(...difficulty.exposure);
  const warm = difficulty.whiteBalance * rng.normal();
  const redGain = exposure * (1 + warm);
  const greenGain = exposure * (1 + 0.4 * difficulty.whiteBalance * rng.normal());
  const blueGain = exposure * (1 - warm);
  const contrast = rng.uniform(0.9, 1.15);
  const saturation = rng.uniform(0.78, 1.12);
  const haze = rng.uniform(0, 0.05);
  const noise = rng.uniform(...difficulty.noise) / 255;
  const { rgb } = canvas;
  const { grain } = textures();
  const [first, second] = [rng.int(grain.length), rng.int(grain.length)];
  const out = new Uint8ClampedArray(rgb.length);
  const finish = (value: number, speck: number): number =>
    255 * (haze + (1 - haze) * (0.5 + (value - 0.5) * contrast) + speck);
  for (let i = 0; i < rgb.length; i += 3) {
    const grey = 0.3 * rgb[i]! + 0.59 * rgb[i + 1]! + 0.11 * rgb[i + 2]!;
    // Two uniform numbers from the grain tile at unrelated places: a triangle, close enough to sensor noise.
    const speck = (grain[(i * 7 + first) % grain.length]! + grain[(i * 3 + second) % grain.length]! - 1) * 2.45 * noise;
    out[i] = finish(mix(grey, rgb[i]!, saturation) * redGain, speck);
    out[i + 1] = finish(mix(grey, rgb[i + 1]!, saturation) * greenGain, speck);
    out[i + 2] = finish(mix(grey, rgb[i + 2]!, saturation) * blueGain, speck);
  }
  return out;
}

function checkWhole(name: string, value: number, low: number, high: number): void {
  if (!Number.isInteger(value) || value < low || value > high) {
    throw new GraftError('usage', `${name} is ${value}.`, `Give a whole number from ${low} to ${high}.`);
  }
}

/**
 * Draws a photo of leaves as JPEG. In a sick photo the main leaf has one or two diseases and its neighbours may have
 * them; in a healthy one no leaf in focus has any. Equal options give equal bytes on one machine.
 * @throws GraftError `usage` for an index or size out of range.
 */
export async function drawLeafPhoto(options: LeafPhotoOptions): Promise<Uint8Array> {
  const { seed, index, healthy } = options;
  checkWhole('The seed', seed, 0, Number.MAX_SAFE_INTEGER);
  checkWhole('The index', index, 0, 1_000_000);
  const rng = makeRng(seed, 'leaf-photo', healthy ? 'healthy' : 'unhealthy', index);
  const sick = makeRng(seed, 'leaf-disease', index);
  const longer = options.size ?? 320 + 8 * rng.int(6);
  checkWhole('The size', longer, 64, 1024);
  const [wide, high] = rng.pick(formats);
  const [width, height] = [Math.round(longer * wide), Math.round(longer * high)];

  const { canvas, surface } = paintBackground(rng, width, height);
  const sun = rng.uniform(0, 2 * Math.PI);
  const lift = width * (surface ? rng.uniform(0.006, 0.035) : rng.uniform(0.02, 0.05));
  const shadow = {
    shift: [Math.cos(sun) * lift, Math.sin(sun) * lift] as const,
    softness: lift * rng.uniform(0.3, 0.9),
    depth: rng.uniform(0.3, 0.7),
  };
  const disease = pickDisease(sick);
  const early = sick.chance(difficulty.faint);
  const strength = sick.uniform(...(early ? difficulty.faintSeverity : difficulty.severity));
  const opacity = sick.uniform(...difficulty.opacity);
  const second = sick.chance(difficulty.secondDisease) ? pickDisease(sick) : undefined;

  const leaves = placeLeaves(rng, width, height);
  for (const [k, { pose, shape, look }] of leaves.entries()) {
    const layer = paintLeaf(rng, canvas, shape, pose, look);
    if (!layer) continue;
    const isMain = k === leaves.length - 1;
    if (!healthy && (isMain || sick.chance(difficulty.sickNeighbour))) {
      diseases[disease](sick, layer, { strength, opacity });
      if (isMain && second) diseases[second](sick, layer, { strength: strength * 0.7, opacity });
    }
    // Without a surface behind it, the first leaf has nothing to throw a shadow on.
    layOver(canvas, layer, surface || k > 0 ? shadow : { ...shadow, depth: 0 });
  }
  light(rng, canvas);
  addDistractors(rng, canvas);
  const pixels = develop(rng, canvas);
  const quality = Math.round(rng.uniform(...difficulty.jpegQuality));
  const jpeg = await sharp(pixels, { raw: { width, height, channels: 3 } })
    .jpeg({ quality })
    .toBuffer();
  return new Uint8Array(jpeg.buffer, jpeg.byteOffset, jpeg.byteLength);
}
