// A robot's camera: photos as the program on the robot would feed them to the model, had its camera been looking at them.
import { COLOUR, mix, POSITION, reflect, toByte, type View } from './augment.ts';
import { decodeTo } from './decode.ts';

/** What a photo is seen by: `greyscale` is the camera of this file, `none` takes the photo as it is. */
export const cameraChoices = ['none', 'greyscale'] as const;
export type CameraChoice = (typeof cameraChoices)[number];

/** The camera's frame, in pixels: the luma plane of a small video stream. */
export const FRAME = { width: 320, height: 240 } as const;

/** Luma of ITU-R BT.601, full range, in 1/32768 as OpenCV has it: as in a JPEG file and in a camera's YUV frame. */
const LUMA = [9798, 19235, 3735] as const;
const LUMA_BITS = 15;

/** OpenCV's weights of neighbouring pixels are whole numbers of 1/2048 (INTER_RESIZE_COEF_BITS is 11). */
const WEIGHT = 2048;

/**
 * A photo as the camera's frame. A photo of another aspect ratio is cropped in its middle, not squashed: a lens does not
 * stretch, so that things keep their shape in the frame, and lose it only where the robot's program loses it, in seeFrame.
 * It is brought down to the frame with antialiasing, as a camera does; a frame that a camera took stays as it is.
 * @returns FRAME.width * FRAME.height bytes of luma, rows from the top.
 * @throws GraftError `bad-photo`, as decodePhoto does.
 */
export async function decodeFrame(bytes: Uint8Array): Promise<Uint8Array> {
  return lumaOf(await decodeTo(bytes, { ...FRAME, fit: 'cover', kernel: 'linear' }));
}

/** Luma of RGB pixels, rounded: OpenCV's COLOR_RGB2GRAY to the bit. */
export function lumaOf(pixels: Uint8Array): Uint8Array {
  const luma = new Uint8Array(pixels.length / 3);
  const [red, green, blue] = LUMA;
  for (let i = 0, at = 0; i < luma.length; i++, at += 3) {
    const sum = red * pixels[at]! + green * pixels[at + 1]! + blue * pixels[at + 2]!;
    luma[i] = (sum + (1 << (LUMA_BITS - 1))) >> LUMA_BITS;
  }
  return luma;
}

/**
 * What the robot's program makes of a frame: three equal channels, `size` x `size`, by OpenCV's resize with INTER_LINEAR
 * for 8 bits: two by two neighbours whatever the scale, aspect ratio not kept. The same to the bit.
 * @param out size * size * 3 bytes.
 */
export function seeFrame(frame: Uint8Array, size: number, out: Uint8Array): void {
  const across = neighbours(FRAME.width, size);
  const down = neighbours(FRAME.height, size);
  const rows = new Int32Array(FRAME.height * size);
  for (let y = 0, at = 0; y < FRAME.height; y++) {
    const row = frame.subarray(y * FRAME.width, (y + 1) * FRAME.width);
    for (let x = 0; x < size; x++, at++) {
      rows[at] = (row[across.near[x]!]! * across.nearWeight[x]! + row[across.far[x]!]! * across.farWeight[x]!) >> 4;
    }
  }
  for (let y = 0, at = 0; y < size; y++) {
    const [near, far] = [down.near[y]! * size, down.far[y]! * size];
    const [nearWeight, farWeight] = [down.nearWeight[y]!, down.farWeight[y]!];
    for (let x = 0; x < size; x++, at += 3) {
      // 11 bits of both weights, of which 4 are gone already: 16 and 2 are left.
      const value = ((rows[near + x]! * nearWeight) >> 16) + ((rows[far + x]! * farWeight) >> 16);
      const seen = (value + 2) >> 2;
      out[at] = seen;
      out[at + 1] = seen;
      out[at + 2] = seen;
    }
  }
}

/** Which two pixels of a line of `source` make each of `target`, and how much they count: half-pixel centres. */
function neighbours(source: number, target: number) {
  const near = new Int32Array(target);
  const far = new Int32Array(target);
  const nearWeight = new Int32Array(target);
  const farWeight = new Int32Array(target);
  const scale = 1 / (target / source);
  for (let i = 0; i < target; i++) {
    const centre = Math.fround((i + 0.5) * scale - 0.5);
    const first = Math.floor(centre);
    const part = Math.fround(centre - first);
    near[i] = Math.max(first, 0);
    far[i] = Math.min(first + 1, source - 1);
    nearWeight[i] = roundHalfEven(Math.fround(1 - part) * WEIGHT);
    farWeight[i] = roundHalfEven(part * WEIGHT);
  }
  return { near, far, nearWeight, farWeight };
}

function roundHalfEven(value: number): number {
  const whole = Math.round(value);
  return whole - value === 0.5 && whole % 2 !== 0 ? whole - 1 : whole;
}

/**
 * A view of a frame, rendered as renderView renders one of a photo. What a view does to saturation does not show in luma.
 * @param view drawn for FRAME.width x FRAME.height.
 */
export function renderFrame(frame: Uint8Array, view: View): Uint8Array {
  const { width, height } = FRAME;
  const [a, b, c, d, e, f] = view.affine.map(value => Math.round(value * 2 ** POSITION)) as unknown as View['affine'];
  // Of an RGB pixel with three equal channels, every row of the matrix makes contrast * luma + offset.
  const [red, green, blue, offset] = view.colour;
  const contrast = Math.round((red + green + blue) * 2 ** COLOUR);
  const shift = Math.round(offset * 2 ** COLOUR) + (1 << (COLOUR - 1));
  const endX = (width - 1) << POSITION;
  const endY = (height - 1) << POSITION;
  const out = new Uint8Array(width * height);
  for (let y = 0, at = 0; y < height; y++) {
    let right = (Math.imul(b, y) + c) | 0;
    let down = (Math.imul(e, y) + f) | 0;
    for (let x = 0; x < width; x++, at++) {
      const u = reflect(right, endX);
      const v = reflect(down, endY);
      right = (right + a) | 0;
      down = (down + d) | 0;
      const p = Math.imul(v >> POSITION, width) + (u >> POSITION);
      const step = u < endX ? 1 : 0;
      const q = v < endY ? p + width : p;
      const fu = (u >> 8) & 255;
      const fv = (v >> 8) & 255;
      const w11 = Math.imul(fu, fv);
      const w10 = (fu << 8) - w11;
      const w01 = (fv << 8) - w11;
      const luma = mix(
        frame[p]!,
        frame[p + step]!,
        frame[q]!,
        frame[q + step]!,
        65536 - w11 - w10 - w01,
        w10,
        w01,
        w11,
      );
      out[at] = toByte((Math.imul(contrast, luma) + shift) >> COLOUR);
    }
  }
  return out;
}
