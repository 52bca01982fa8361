// A photo's file as the pixels that a model is fed, or why it cannot be read: an answer rather than an error, in threads.
import { GraftError } from '../base/errors.ts';
import type { CameraChoice } from '../image/camera.ts';
import type { Preprocess } from '../image/preprocess.ts';
import { readPhoto } from '../image/read-photo.ts';
import { decodeSeen } from '../image/render-photo-view.ts';

/** A photo that could not be read, and what to do about it. */
export interface UnreadPhoto {
  readonly reason: string;
  readonly hint: string | undefined;
}

/** size * size * 3 bytes of RGB, as `camera` sees the photo. Other errors than those of the photo are thrown. */
export async function readPixels(
  file: string,
  camera: CameraChoice,
  preprocess: Preprocess,
): Promise<Uint8Array | UnreadPhoto> {
  try {
    return await decodeSeen(camera, await readPhoto(file), preprocess);
  } catch (error) {
    if (error instanceof GraftError) return { reason: error.message, hint: error.hint };
    throw error;
  }
}
