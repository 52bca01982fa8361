// Pixels in the making: an RGB canvas of floats 0..1, single-channel maps, blur and mixing.
// Everything in the demo is painted on these before sharp encodes the photo.

/** A colour, 0..1 per channel, as displayed (sRGB). */
export type Rgb = readonly [number, number, number];

/** RGB floats, interleaved, rows from the top; values may leave 0..1 until the photo is developed. */
export interface Canvas {
  readonly width: number;
  readonly height: number;
  readonly rgb: Float32Array;
}

/** A canvas filled with one colour. */
export function makeCanvas(width: number, height: number, fill: Rgb = [0, 0, 0]): Canvas {
  const rgb = new Float32Array(width * height * 3);
  for (let i = 0; i < rgb.length; i += 3) {
    rgb[i] = fill[0];
    rgb[i + 1] = fill[1];
    rgb[i + 2] = fill[2];
  }
  return { width, height, rgb };
}

/** Turns a `#rrggbb` colour into floats. */
export function hex(code: string): Rgb {
  const n = Number.parseInt(code.slice(1), 16);
  return [(n >> 16) / 255, ((n >> 8) & 255) / 255, (n & 255) / 255];
}

/** `a` at 0, `b` at 1. */
export function mix(a: number, b: number, amount: number): number {
  return a + (b - a) * amount;
}

/** `mix` of two colours. */
export function mixRgb(a: Rgb, b: Rgb, amount: number): Rgb {
  return [mix(a[0], b[0], amount), mix(a[1], b[1], amount), mix(a[2], b[2], amount)];
}

/** `value` held between 0 and 1. */
export function clamp01(value: number): number {
  return Math.min(1, Math.max(0, value));
}

/** 0 below `low`, 1 above `high`, 3x^2 - 2x^3 between. `low` may be the larger one. */
export function smoothstep(low: number, high: number, value: number): number {
  const x = clamp01((value - low) / (high - low));
  return x * x * (3 - 2 * x);
}

/** Mixes `colour` into pixel `i` of interleaved `rgb`. */
export function blend(rgb: Float32Array, i: number, colour: Rgb, amount: number): void {
  const at = i * 3;
  rgb[at] = mix(rgb[at]!, colour[0], amount);
  rgb[at + 1] = mix(rgb[at + 1]!, colour[1], amount);
  rgb[at + 2] = mix(rgb[at + 2]!, colour[2], amount);
}

/** Multiplies pixel `i` of interleaved `rgb`. */
export function shade(rgb: Float32Array, i: number, factor: number): void {
  const at = i * 3;
  rgb[at] = rgb[at]! * factor;
  rgb[at + 1] = rgb[at + 1]! * factor;
  rgb[at + 2] = rgb[at + 2]! * factor;
}

/** Mean over 2 * radius + 1 neighbours along one axis, running sum, edges repeated. */
function boxPass(from: Float32Array, to: Float32Array, lines: number, length: number, lineStep: number, step: number) {
  return (channel: number, radius: number): void => {
    const scale = 1 / (2 * radius + 1);
    for (let line = 0; line < lines; line++) {
      const start = line * lineStep + channel;
      const last = start + (length - 1) * step;
      let sum = from[start]! * (radius + 1);
      for (let k = 1; k <= radius; k++) sum += from[Math.min(start + k * step, last)]!;
      for (let k = 0; k < length; k++) {
        const at = start + k * step;
        to[at] = sum * scale;
        sum += from[Math.min(at + (radius + 1) * step, last)]! - from[Math.max(at - radius * step, start)]!;
      }
    }
  };
}

/** Blurs in place with `passes` box filters of whole-number `radius`; two look like a cone, three like a Gaussian. */
export function boxBlur(
  data: Float32Array,
  width: number,
  height: number,
  channels: number,
  radius: number,
  passes = 2,
): void {
  if (radius < 1) return;
  const spare = new Float32Array(data.length);
  const across = boxPass(data, spare, height, width, width * channels, channels);
  const down = boxPass(spare, data, width, height, channels, width * channels);
  for (let pass = 0; pass < passes; pass++) {
    for (let channel = 0; channel < channels; channel++) {
      across(channel, radius);
      down(channel, radius);
    }
  }
}

/** Gaussian-like blur with standard deviation below about 1.2 pixels: one 3-tap pass per axis, in place. */
export function softBlur(canvas: Canvas, sigma: number): void {
  const { width, height, rgb } = canvas;
  // A [s, 1 - 2s, s] kernel has variance 2s.
  const side = Math.min(0.33, (sigma * sigma) / 2);
  const middle = 1 - 2 * side;
  const spare = new Float32Array(rgb.length);
  const row = width * 3;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < row; x++) {
      const i = y * row + x;
      const left = x < 3 ? i : i - 3;
      const right = x >= row - 3 ? i : i + 3;
      spare[i] = middle * rgb[i]! + side * (rgb[left]! + rgb[right]!);
    }
  }
  for (let y = 0; y < height; y++) {
    const up = y === 0 ? 0 : -row;
    const down = y === height - 1 ? 0 : row;
    for (let i = y * row; i < (y + 1) * row; i++) {
      rgb[i] = middle * spare[i]! + side * (spare[i + up]! + spare[i + down]!);
    }
  }
}

/** Enlarges a canvas to the given size with bilinear interpolation. */
export function enlarge(canvas: Canvas, width: number, height: number): Canvas {
  const out = makeCanvas(width, height);
  const sx = canvas.width / width;
  const sy = canvas.height / height;
  for (let y = 0; y < height; y++) {
    const v = Math.min(canvas.height - 1, Math.max(0, (y + 0.5) * sy - 0.5));
    const y0 = Math.floor(v);
    const rowA = y0 * canvas.width;
    const rowB = Math.min(y0 + 1, canvas.height - 1) * canvas.width;
    for (let x = 0; x < width; x++) {
      const u = Math.min(canvas.width - 1, Math.max(0, (x + 0.5) * sx - 0.5));
      const x0 = Math.floor(u);
      const x1 = Math.min(x0 + 1, canvas.width - 1);
      for (let c = 0; c < 3; c++) {
        const top = mix(canvas.rgb[(rowA + x0) * 3 + c]!, canvas.rgb[(rowA + x1) * 3 + c]!, u - x0);
        const bottom = mix(canvas.rgb[(rowB + x0) * 3 + c]!, canvas.rgb[(rowB + x1) * 3 + c]!, u - x0);
        out.rgb[(y * width + x) * 3 + c] = mix(top, bottom, v - y0);
      }
    }
  }
  return out;
}
