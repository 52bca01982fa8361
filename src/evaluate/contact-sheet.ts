// One picture of the validation photos with what the model said about each, mistakes first.
// A mistake is told by frame, symbol and words, so that nobody needs to see red from green.
import { readFile, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import sharp from 'sharp';
import { GraftError } from '../base/errors.ts';
import { MAX_PIXELS, photoFormats } from '../image/decode.ts';
import { FONT, fitText } from './svg-text.ts';

/** A photo and what the model said. */
export interface ContactTile {
  /** Path of the photo. */
  readonly file: string;
  /** Name of the class it belongs to, and of the one that the model gave. */
  readonly truth: string;
  readonly predicted: string;
  /** Probability of the predicted class, 0..1. */
  readonly probability: number;
}

/** How `drawContactSheet` lays out. */
export interface ContactSheetOptions {
  /** Tiles side by side, 1..12. Default: 6, or fewer when there are fewer tiles. */
  readonly columns?: number;
  /** Width of a tile in pixels, 120..400. Default 200. */
  readonly tileSize?: number;
  /** Heading. Default: how many of the photos are right. */
  readonly title?: string;
}

/** Most tiles on a sheet; the heading says when there are more. */
export const MAX_TILES = 60;
/** Photo files larger than this are shown as unreadable. */
const MAX_FILE_BYTES = 100_000_000;
const GAP = 10;
const HEAD = 56;
/** Height of a photo in parts of the tile's width, and of the caption in pixels. */
const PHOTO_RATIO = 0.75;
const CAPTION = 46;
// Vermilion and bluish green of Okabe and Ito (2008), which stay apart in the common kinds of colour blindness.
const WRONG = '#c2410c';
const RIGHT = '#00745a';

function percent(probability: number): string {
  return Number.isFinite(probability) ? `${Math.round(Math.min(1, Math.max(0, probability)) * 100)} %` : '? %';
}

/** A tick or a cross, drawn rather than typed: fonts may lack them. */
function drawMark(right: boolean, x: number, y: number): string {
  const path = right ? `M${x + 5} ${y + 12} l5 5 l9 -10` : `M${x + 6} ${y + 6} l12 12 m0 -12 l-12 12`;
  return (
    `<circle cx="${x + 12}" cy="${y + 12}" r="12" fill="${right ? RIGHT : WRONG}" stroke="#fff" stroke-width="2"/>` +
    `<path d="${path}" stroke="#fff" stroke-width="3" fill="none" stroke-linecap="round"/>`
  );
}

/** Frame, mark and caption of a tile whose upper left corner is (left, top); clipped to the tile, whatever the font. */
function drawTile(tile: ContactTile, left: number, top: number, width: number, readable: boolean): string {
  const right = tile.truth === tile.predicted;
  const photo = Math.round(width * PHOTO_RATIO);
  const line = (text: string, row: number, weight: number, fill: string, fontSize: number): string =>
    `<text x="8" y="${photo + 19 + row * 18}" font-size="${fontSize}" font-weight="${weight}" fill="${fill}">` +
    `${fitText(text, (width - 16) / (weight > 400 ? 1.08 : 1), fontSize)}</text>`;
  const sure = percent(tile.probability);
  // The percentage stands on its own at the right, where no class name can push it away.
  const said = (label: string, row: number, fill: string): string =>
    `<text x="8" y="${photo + 19 + row * 18}" font-size="13" font-weight="700" fill="${fill}">` +
    `${fitText(label, (width - 70) / 1.08, 13)}</text>` +
    `<text x="${width - 8}" y="${photo + 19 + row * 18}" font-size="13" font-weight="700" fill="${fill}" ` +
    `text-anchor="end">${sure}</text>`;
  const caption = right
    ? said(tile.predicted, 0, RIGHT) + line(basename(tile.file), 1, 400, '#57606a', 11)
    : said(`says ${tile.predicted}`, 0, WRONG) + line(`is ${tile.truth}`, 1, 400, '#1f2328', 13);
  const frame = right
    ? `<rect x="0.5" y="0.5" width="${width - 1}" height="${photo + CAPTION - 1}" fill="none" stroke="#c9d1d9"/>`
    : `<rect x="2" y="2" width="${width - 4}" height="${photo + CAPTION - 4}" fill="none" ` +
      `stroke="${WRONG}" stroke-width="4" stroke-dasharray="14 5"/>`;
  const missing = readable
    ? ''
    : `<rect width="${width}" height="${photo}" fill="#e6e8eb"/>` +
      `<text x="${width / 2}" y="${photo / 2}" font-size="12" fill="#57606a" text-anchor="middle">photo not readable</text>`;
  return (
    `<svg x="${left}" y="${top}" width="${width}" height="${photo + CAPTION}" overflow="hidden">` +
    `${missing}${frame}${caption}${drawMark(right, 8, 8)}</svg>`
  );
}

/** The photo within width x height, whole, upright, on grey; undefined when it is gone or no photo. */
async function readThumbnail(file: string, width: number, height: number): Promise<Buffer | undefined> {
  try {
    if ((await stat(file)).size > MAX_FILE_BYTES) return undefined;
    const bytes = await readFile(file);
    const options = { limitInputPixels: MAX_PIXELS };
    const { format } = await sharp(bytes, options).metadata();
    if (!format || !photoFormats.has(format)) return undefined;
    return await sharp(bytes, options)
      .autoOrient()
      .resize(width, height, { fit: 'contain', background: '#e6e8eb' })
      .flatten({ background: '#ffffff' })
      .toColourspace('srgb')
      .png({ compressionLevel: 1 })
      .toBuffer();
  } catch {
    // The sheet is an overview: a photo that vanished since must not take the others with it. Its tile says so.
    return undefined;
  }
}

function checkRange(name: string, value: number, low: number, high: number): void {
  if (!Number.isInteger(value) || value < low || value > high) {
    throw new GraftError('usage', `${name} is ${value}.`, `Give a whole number from ${low} to ${high}.`);
  }
}

/**
 * Draws photos as tiles with prediction and probability: mistakes first, the surest of them at the top, then the right
 * ones, the least sure first. At most MAX_TILES are shown. Photos that cannot be read become grey tiles.
 * @returns a PNG.
 * @throws GraftError `too-few-photos` without tiles, `usage` for options out of range.
 */
export async function drawContactSheet(
  tiles: readonly ContactTile[],
  options: ContactSheetOptions = {},
): Promise<Uint8Array> {
  if (tiles.length === 0) {
    throw new GraftError('too-few-photos', 'There are no photos for the contact sheet.', 'Give at least one tile.');
  }
  const shown = orderTiles(tiles).slice(0, MAX_TILES);
  const { columns = Math.min(6, shown.length), tileSize = 200 } = options;
  checkRange('The number of columns', columns, 1, 12);
  checkRange('The tile size', tileSize, 120, 400);
  const right = tiles.filter(tile => tile.truth === tile.predicted).length;
  const title = options.title ?? `${right} of ${tiles.length} photos right`;

  const photo = Math.round(tileSize * PHOTO_RATIO);
  const rows = Math.ceil(shown.length / columns);
  const width = Math.max(columns * (tileSize + GAP) + GAP, 320);
  const height = HEAD + rows * (photo + CAPTION + GAP) + GAP;
  const places = shown.map((tile, i) => ({
    tile,
    left: GAP + (i % columns) * (tileSize + GAP),
    top: HEAD + Math.floor(i / columns) * (photo + CAPTION + GAP),
  }));
  const thumbnails: (Buffer | undefined)[] = [];
  // A few at a time: sixty large photos at once would need gigabytes.
  for (let i = 0; i < shown.length; i += 4) {
    const batch = shown.slice(i, i + 4).map(tile => readThumbnail(tile.file, tileSize, photo));
    thumbnails.push(...(await Promise.all(batch)));
  }

  const wrong = tiles.length - right;
  const rest = tiles.length > shown.length ? `, ${shown.length} of ${tiles.length} photos shown` : '';
  const legend = `${wrong === 0 ? 'no mistakes' : `${wrong} ${wrong === 1 ? 'mistake' : 'mistakes'} first`}${rest}`;
  const svg =
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="${FONT}">` +
    `<text x="${GAP}" y="26" font-size="20" font-weight="700" fill="#1f2328">${fitText(title, (width - 2 * GAP) / 1.08, 20)}</text>` +
    `<text x="${GAP}" y="46" font-size="13" fill="#57606a">${fitText(legend, width - 2 * GAP, 13)}</text>` +
    places.map(({ tile, left, top }, i) => drawTile(tile, left, top, tileSize, thumbnails[i] !== undefined)).join('') +
    '</svg>';
  const layers = places.flatMap(({ left, top }, i) => {
    const input = thumbnails[i];
    return input ? [{ input, left, top }] : [];
  });
  const png = await sharp({ create: { width, height, channels: 3, background: '#ffffff' } })
    .composite([...layers, { input: Buffer.from(svg), left: 0, top: 0 }])
    .png()
    .toBuffer();
  return new Uint8Array(png.buffer, png.byteOffset, png.byteLength);
}

/** Mistakes, surest first, then right ones, least sure first; equal ones by file name. */
export function orderTiles(tiles: readonly ContactTile[]): ContactTile[] {
  const isRight = (tile: ContactTile): number => (tile.truth === tile.predicted ? 1 : 0);
  const sure = (tile: ContactTile): number => (Number.isFinite(tile.probability) ? tile.probability : 0);
  return [...tiles].sort(
    (a, b) =>
      isRight(a) - isRight(b) ||
      (isRight(a) ? sure(a) - sure(b) : sure(b) - sure(a)) ||
      (a.file < b.file ? -1 : a.file > b.file ? 1 : 0),
  );
}
