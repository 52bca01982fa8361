// Harmless things that make a healthy leaf look odd: dew, flecks of light, dirt, a ladybird, a twig's shadow.
// Healthy and sick photos get them with the same chances, so that none of them tells the classes apart.
import type { Rng } from '../base/rng.ts';
import { blend, type Canvas, clamp01, hex, mix, mixRgb, shade, smoothstep } from './canvas.ts';
import { difficulty } from './difficulty.ts';

/** Calls `paint` for each pixel of the canvas within `radius` of a point, with offsets in radii. */
function eachWithin(
  canvas: Canvas,
  cx: number,
  cy: number,
  radius: number,
  paint: (pixel: number, u: number, v: number) => void,
): void {
  for (let y = Math.max(0, Math.floor(cy - radius)); y <= Math.min(canvas.height - 1, cy + radius); y++) {
    for (let x = Math.max(0, Math.floor(cx - radius)); x <= Math.min(canvas.width - 1, cx + radius); x++) {
      paint(y * canvas.width + x, (x - cx) / radius, (y - cy) / radius);
    }
  }
}

/** Drops of water: dark on the side of the light, bright opposite, a sharp highlight. */
function addDew(rng: Rng, canvas: Canvas): void {
  const count = 6 + rng.int(40);
  const typical = canvas.width * rng.uniform(0.006, 0.013);
  for (let k = 0; k < count; k++) {
    const radius = Math.max(1.8, typical * Math.exp(0.45 * rng.normal()));
    const [cx, cy] = [rng.uniform(0, canvas.width), rng.uniform(0, canvas.height)];
    eachWithin(canvas, cx, cy, radius * 1.5, (pixel, u, v) => {
      const distance = Math.hypot(u, v) * 1.5;
      shade(canvas.rgb, pixel, 1 - 0.3 * smoothstep(1.5, 0.9, distance) * clamp01(0.4 + v));
      if (distance < 1) {
        shade(canvas.rgb, pixel, mix(0.85, 1.35, clamp01(0.5 + 0.75 * (u + v))));
        const glint = Math.hypot(u * 1.5 + 0.38, v * 1.5 + 0.42);
        blend(canvas.rgb, pixel, [1, 1, 1], 0.9 * smoothstep(0.32, 0.12, glint));
      }
    });
  }
}

/** Sun through foliage: soft warm ovals. */
function addLightFlecks(rng: Rng, canvas: Canvas): void {
  const count = 3 + rng.int(10);
  for (let k = 0; k < count; k++) {
    const radius = canvas.width * rng.uniform(0.015, 0.07);
    const strength = rng.uniform(0.25, 0.7);
    const soft = rng.uniform(0.3, 0.8);
    eachWithin(canvas, rng.uniform(0, canvas.width), rng.uniform(0, canvas.height), radius * 1.4, (pixel, u, v) => {
      const glow = strength * smoothstep(1, 1 - soft, Math.hypot(u, v * 1.3) * 1.2);
      const at = pixel * 3;
      canvas.rgb[at] = canvas.rgb[at]! * (1 + glow) + 0.12 * glow;
      canvas.rgb[at + 1] = canvas.rgb[at + 1]! * (1 + glow) + 0.11 * glow;
      canvas.rgb[at + 2] = canvas.rgb[at + 2]! * (1 + glow * 0.8) + 0.04 * glow;
    });
  }
}

/** Crumbs of soil and dust: angular, opaque, with a hard little shadow, on leaf and ground alike. */
function addDirt(rng: Rng, canvas: Canvas): void {
  const count = 8 + rng.int(45);
  const [cx, cy] = [rng.uniform(0, canvas.width), rng.uniform(0, canvas.height)];
  const spread = canvas.width * rng.uniform(0.15, 0.6);
  for (let k = 0; k < count; k++) {
    const radius = Math.max(1, canvas.width * 0.0038 * Math.exp(0.45 * rng.normal()));
    const [x, y] = [cx + spread * rng.normal(), cy + spread * rng.normal()];
    const colour = mixRgb(hex('#3a2a1c'), hex('#8a7355'), rng.next() ** 2);
    const [a, b] = [rng.uniform(0.6, 1.4), rng.uniform(-0.5, 0.5)];
    eachWithin(canvas, x + radius * 0.6, y + radius * 0.7, radius * 1.6, (pixel, u, v) =>
      shade(canvas.rgb, pixel, 1 - 0.4 * smoothstep(1, 0.3, Math.hypot(u, v))),
    );
    eachWithin(canvas, x, y, radius * 1.6, (pixel, u, v) => {
      const distance = Math.max(Math.abs(u * a + v * b), Math.abs(v / a - u * b)) * 1.6;
      blend(canvas.rgb, pixel, colour, smoothstep(1.2, 0.7, distance));
      if (u + v < -0.3 && distance < 0.9) shade(canvas.rgb, pixel, 1.25);
    });
  }
}

/** A ladybird on its way. */
function addLadybird(rng: Rng, canvas: Canvas): void {
  const radius = canvas.width * rng.uniform(0.02, 0.034);
  const [cx, cy] = [canvas.width * rng.uniform(0.2, 0.8), canvas.height * rng.uniform(0.2, 0.8)];
  const turn = rng.uniform(0, 2 * Math.PI);
  const [cos, sin] = [Math.cos(turn), Math.sin(turn)];
  const red = mixRgb(hex('#c8251a'), hex('#dd6a1c'), rng.next());
  const dots = [
    [0.35, 0.45],
    [0.35, -0.45],
    [-0.25, 0.5],
    [-0.25, -0.5],
    [-0.65, 0.2],
    [-0.65, -0.2],
    [0.55, 0],
  ] as const;
  eachWithin(canvas, cx + radius * 0.3, cy + radius * 0.4, radius * 1.5, (pixel, u, v) =>
    shade(canvas.rgb, pixel, 1 - 0.5 * smoothstep(1, 0.5, Math.hypot(u, v))),
  );
  eachWithin(canvas, cx, cy, radius * 1.5, (pixel, u, v) => {
    const [x, y] = [(u * cos + v * sin) * 1.5, (v * cos - u * sin) * 1.5];
    const head = Math.hypot(x - 0.95, y);
    blend(canvas.rgb, pixel, [0.06, 0.06, 0.06], smoothstep(0.5, 0.38, head));
    const body = Math.hypot(x, y * 1.15);
    if (body > 1.1) return;
    const dark = dots.some(([dx, dy]) => Math.hypot(x - dx, y - dy) < 0.19) || Math.abs(y) < 0.05;
    const light = 1.1 - 0.5 * body * body;
    const colour = dark ? ([0.07, 0.06, 0.06] as const) : ([red[0] * light, red[1] * light, red[2] * light] as const);
    blend(canvas.rgb, pixel, colour, smoothstep(1.08, 0.92, body));
    blend(canvas.rgb, pixel, [1, 1, 1], 0.7 * smoothstep(0.28, 0.1, Math.hypot(u * 1.5 + 0.3, v * 1.5 + 0.35)));
  });
}

/** Soft shadows of stalks that stand between the sun and the scene. */
function addTwigShadow(rng: Rng, canvas: Canvas): void {
  const count = 1 + rng.int(3);
  for (let k = 0; k < count; k++) {
    const turn = rng.uniform(0, Math.PI);
    const [nx, ny] = [Math.cos(turn), Math.sin(turn)];
    const offset = rng.uniform(-0.35, 0.35) * canvas.width;
    const thick = canvas.width * rng.uniform(0.008, 0.05);
    const depth = rng.uniform(0.2, 0.5);
    const bend = rng.uniform(-0.0012, 0.0012);
    for (let y = 0; y < canvas.height; y++) {
      for (let x = 0; x < canvas.width; x++) {
        const dx = x - canvas.width / 2;
        const dy = y - canvas.height / 2;
        const along = dx * ny - dy * nx;
        const away = Math.abs(dx * nx + dy * ny - offset + bend * along * along);
        if (away < thick * 2)
          shade(canvas.rgb, y * canvas.width + x, 1 - depth * smoothstep(thick * 2, thick * 0.6, away));
      }
    }
  }
}

/** Adds a random choice of distractors to the finished scene. */
export function addDistractors(rng: Rng, canvas: Canvas): void {
  const chances = difficulty.distractors;
  if (rng.chance(chances.dirt)) addDirt(rng, canvas);
  if (rng.chance(chances.dew)) addDew(rng, canvas);
  if (rng.chance(chances.ladybird)) addLadybird(rng, canvas);
  if (rng.chance(chances.twigShadow)) addTwigShadow(rng, canvas);
  if (rng.chance(chances.lightFlecks)) addLightFlecks(rng, canvas);
}
