// A photo's views for a network, whether a camera sees the photo or not: what is decoded once, and what is rendered of it.
import type { Rng } from '../base/rng.ts';
import { type Augmentation, renderView, sampleView } from './augment.ts';
import { type CameraChoice, decodeFrame, FRAME, renderFrame, seeFrame } from './camera.ts';
import { type DecodeSpec, decodePhoto } from './decode.ts';

/** A view of a photo: number 0 is the plain photo, the others are augmented, and a camera may see either. */
export interface PhotoView {
  readonly number: number;
  readonly camera: CameraChoice;
}

/** What is kept of a photo for its views: size * size * 3 bytes of RGB, or the camera's frame. Throws `bad-photo`. */
export function decodeForViews(camera: CameraChoice, bytes: Uint8Array, spec: DecodeSpec): Promise<Uint8Array> {
  return camera === 'none' ? decodePhoto(bytes, spec) : decodeFrame(bytes);
}

/** How many bytes that are. */
export function bytesForViews(camera: CameraChoice, { size }: Pick<DecodeSpec, 'size'>): number {
  return camera === 'none' ? size * size * 3 : FRAME.width * FRAME.height;
}

/**
 * Renders the pixels that a network reads.
 * @param photo what decodeForViews gave.
 * @param draw how the view is drawn; without it, the plain photo. The same stream gives the same view to any camera.
 * @param out size * size * 3 bytes.
 */
export function renderPhotoView(
  camera: CameraChoice,
  photo: Uint8Array,
  size: number,
  draw: { readonly augmentation: Augmentation; readonly rng: Rng } | undefined,
  out: Uint8Array,
): void {
  if (camera === 'none') {
    if (draw) renderView(photo, size, sampleView(draw.augmentation, size, draw.rng), out);
    else out.set(photo);
    return;
  }
  const { width, height } = FRAME;
  const frame = draw ? renderFrame(photo, sampleView(draw.augmentation, width, draw.rng, height)) : photo;
  seeFrame(frame, size, out);
}

/**
 * Decodes a photo to the pixels that a network reads of it: size * size * 3 bytes, rows from the top, RGB interleaved.
 * @throws GraftError `bad-photo`, as decodePhoto does.
 */
export async function decodeSeen(camera: CameraChoice, bytes: Uint8Array, spec: DecodeSpec): Promise<Uint8Array> {
  const out = new Uint8Array(spec.size * spec.size * 3);
  renderPhotoView(camera, await decodeForViews(camera, bytes, spec), spec.size, undefined, out);
  return out;
}
