// Which views of a photo a robot's camera sees, when training is told of one.
import type { PhotoView } from '../image/render-photo-view.ts';
import type { TrainSettings } from './train-options.ts';

type CameraSettings = Pick<TrainSettings, 'camera' | 'cameraShare'>;

/**
 * View `number` (from 1) of a photo in fine-tuning. Camera views are spread evenly: of 1/2, every other one. Half of the photos
 * begin with one, so that every epoch shows both kinds.
 */
export function trainingView({ camera, cameraShare }: CameraSettings, sha256: string, number: number): PhotoView {
  const place = number + (Number.parseInt(sha256.slice(0, 8), 16) % 2);
  const seen = Math.floor(place * cameraShare) > Math.floor((place - 1) * cameraShare);
  return { number, camera: seen ? camera : 'none' };
}

/** The views that a head trains on: `augmented` ones, and the plain photo as it is and as the camera sees it. */
export function headViews(settings: CameraSettings, sha256: string, augmented: number): PhotoView[] {
  const drawn = Array.from({ length: augmented }, (_, i) => trainingView(settings, sha256, i + 1));
  const plain: PhotoView = { number: 0, camera: 'none' };
  return settings.camera === 'none' ? [plain, ...drawn] : [plain, validationView(settings), ...drawn];
}

/** How validation sees a photo: as the model will, through the camera where there is one. */
export function validationView({ camera }: CameraSettings): PhotoView {
  return { number: 0, camera };
}
