// A photo with what the model looks at: the photo in grey, the evidence in colour over it.
import { interpolateInferno } from 'd3-scale-chromatic';
import sharp from 'sharp';
import { type CameraChoice, FRAME, lumaOf } from '../image/camera.ts';
import { MAX_PIXELS } from '../image/decode.ts';
import { type Explanation, mapOf } from './explanation.ts';
import { FONT, fitText } from './svg-text.ts';

/** How a heat-map is drawn. */
export interface HeatMapOptions {
  /** Longer side in pixels; smaller photos are not enlarged. Default: 480. */
  readonly size?: number;
  /** Default: png. */
  readonly format?: 'png' | 'webp';
  /** What the model saw the photo through. Default: none. */
  readonly camera?: CameraChoice;
}

/** A picture as raw RGB. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly data: Buffer;
}

const DEFAULT_SIZE = 480;

/** inferno by 256 steps: uniform to the eye, also without red or green, and in print. */
const colours = Array.from({ length: 256 }, (_, i) => parseColour(interpolateInferno(i / 255)));

function parseColour(hex: string): readonly [number, number, number] {
  const at = (i: number) => Number.parseInt(hex.slice(i, i + 2), 16);
  return [at(1), at(3), at(5)];
}

/**
 * Decodes what of a photo is seen, upright: all of it, its longer side at most `size` pixels; or the frame that a camera cuts out of
 * its middle, in grey.
 */
export async function readPicture(photo: Uint8Array, size: number, camera: CameraChoice): Promise<Picture> {
  const frame = { width: size, height: Math.round((size * FRAME.height) / FRAME.width), fit: 'cover' } as const;
  const whole = { width: size, height: size, fit: 'inside', withoutEnlargement: true } as const;
  const { data, info } = await sharp(photo, { failOn: 'truncated', limitInputPixels: MAX_PIXELS })
    .autoOrient()
    .resize(camera === 'none' ? whole : frame)
    .flatten({ background: '#ffffff' })
    .toColourspace('srgb')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  if (camera !== 'none') {
    for (const [i, luma] of lumaOf(data).entries()) data.fill(luma, 3 * i, 3 * i + 3);
  }
  return { width: info.width, height: info.height, data };
}

/**
 * The photo in grey with the evidence for a class over it: bright where it is strong, none where it is below zero. The scale is the
 * photo's own: the strongest cell of any class is the brightest. The network sees the photo squashed, so that the map is stretched to the photo's shape.
 */
export async function paintEvidence(
  { width, height, data }: Picture,
  explanation: Explanation,
  classIndex: number,
): Promise<Picture> {
  const { side, evidence } = explanation;
  const strongest = evidence.reduce((most, value) => Math.max(most, value), 1e-6);
  const cells = Uint8Array.from(mapOf(explanation, classIndex), value =>
    Math.round((255 * Math.max(0, value)) / strongest),
  );
  const { data: map, info } = await sharp(cells, { raw: { width: side, height: side, channels: 1 } })
    .resize(width, height, { fit: 'fill', kernel: 'cubic' })
    .raw()
    .toBuffer({ resolveWithObject: true });
  const grey = lumaOf(data);
  const out = Buffer.alloc(data.length);
  for (let i = 0; i < width * height; i++) {
    const strength = map[i * info.channels]!;
    const opacity = 0.15 + (0.6 * strength) / 255;
    for (let c = 0; c < 3; c++) out[3 * i + c] = grey[i]! * (1 - opacity) + colours[strength]![c]! * opacity;
  }
  return { width, height, data: out };
}

/** The heat-map of a photo as an image file. */
export async function drawHeatMap(
  photo: Uint8Array,
  explanation: Explanation,
  classIndex: number,
  { size = DEFAULT_SIZE, format = 'png', camera = 'none' }: HeatMapOptions = {},
): Promise<Buffer> {
  const painted = await paintEvidence(await readPicture(photo, size, camera), explanation, classIndex);
  const { width, height, data } = painted;
  return sharp(data, { raw: { width, height, channels: 3 } })
    .toFormat(format)
    .toBuffer();
}

/** Heights of the text under a picture, in pixels. */
const CAPTION = 64;
const GAP = 8;
const LEGEND = { width: 120, height: 10 } as const;

/**
 * A picture for people: the photo, its heat-map beside it, and under them what the model says.
 * @param said e.g. `unhealthy, 97.2 %`.
 * @param about what the colours are about, e.g. `for "unhealthy"`.
 * @param camera what the model saw the photo through. Default: none.
 * @returns a PNG.
 */
export async function drawExplanation(
  photo: Uint8Array,
  explanation: Explanation,
  classIndex: number,
  { said, about, camera = 'none' }: { readonly said: string; readonly about: string; readonly camera?: CameraChoice },
): Promise<Buffer> {
  const plain = await readPicture(photo, DEFAULT_SIZE, camera);
  const painted = await paintEvidence(plain, explanation, classIndex);
  const [width, height] = [Math.max(2 * plain.width + GAP, 400), plain.height + CAPTION];
  const stops = colours.flatMap(([r, g, b], i) =>
    i % 51 === 0 ? [`<stop offset="${i / 255}" stop-color="rgb(${r},${g},${b})"/>`] : [],
  );
  const text = (x: number, y: number, size: number, room: number, words: string, anchor = 'start') =>
    `<text x="${x}" y="${y}" font-size="${size}" fill="#1f2328" text-anchor="${anchor}">${fitText(words, room, size)}</text>`;
  const right = width - LEGEND.width - 12;
  const svg =
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${CAPTION}" font-family="${FONT}">` +
    `<linearGradient id="g">${stops.join('')}</linearGradient>` +
    text(12, 28, 18, right - 24, said) +
    text(12, 50, 13, right - 24, about) +
    `<rect x="${right}" y="16" width="${LEGEND.width}" height="${LEGEND.height}" fill="url(#g)"/>` +
    text(right, 46, 12, LEGEND.width / 2, 'none') +
    text(width - 12, 46, 12, LEGEND.width / 2, 'strong', 'end') +
    '</svg>';
  const layer = ({ width, height, data }: Picture, left: number) => ({
    input: data,
    raw: { width, height, channels: 3 as const },
    left,
    top: 0,
  });
  return sharp({ create: { width, height, channels: 3, background: '#ffffff' } })
    .composite([
      layer(plain, 0),
      layer(painted, plain.width + GAP),
      { input: Buffer.from(svg), left: 0, top: plain.height },
    ])
    .png()
    .toBuffer();
}
