// graft explain: what a model looks at, as a picture for each photo.
import { access, mkdir } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { explainSystemError, GraftError } from '../base/errors.ts';
import type { VerbEvent } from '../base/events.ts';
import { writeWhole } from '../base/files.ts';
import { borderShare, describePlace, placeOf } from '../evaluate/explanation.ts';
import { drawExplanation } from '../evaluate/heat-map.ts';
import { argMax } from '../evaluate/metrics.ts';
import { type CameraChoice, cameraChoices } from '../image/camera.ts';
import { readPhoto } from '../image/read-photo.ts';
import { defaultWorkers } from './defaults.ts';
import { explainPhotos } from './explain-photos.ts';
import { pickName } from './pick-name.ts';
import { UNKNOWN } from './predict.ts';
import { checkRanges } from './setting-ranges.ts';
import { openTrainedRun } from './trained-run.ts';

/** Options of `explain`. */
export interface ExplainOptions {
  /** A finished run. */
  readonly run: string;
  /** Photos. */
  readonly files: readonly string[];
  /** The class whose evidence is shown. Default: the one that the model sees in the photo. */
  readonly class?: string;
  /** Folder of the pictures. Default: the current one. */
  readonly output?: string;
  /** The robot's camera, through which the photos are seen. Default: none. */
  readonly camera?: CameraChoice;
  /** Threads. Default: the machine's cores, at most 8. */
  readonly workers?: number;
}

/** One photo's explanation. */
export interface ExplainedPhoto {
  readonly file: string;
  /** The picture that was written. */
  readonly picture: string;
  readonly label: string;
  readonly probability: number;
  /** The class whose evidence is shown. */
  readonly shown: string;
  /** Where that evidence is, in words, and as a place in 0..1 from the left and the top. */
  readonly where: string;
  readonly x: number;
  readonly y: number;
  /** Part of that evidence in the border of the picture, which is 49 % of its area. */
  readonly border_share: number;
}

/** Result of `explain`. */
export interface ExplainResult {
  readonly photos: readonly ExplainedPhoto[];
  readonly unread: readonly { readonly file: string; readonly error: string }[];
}

/**
 * Writes `<photo>-explained.png` for each photo: the photo, and over it where the model sees what it says.
 * @throws GraftError `usage` for a class that the model does not know or two photos of one name; `exists` for a picture that
 * would be overwritten; and what `openTrainedRun` throws.
 */
export async function* explain(options: ExplainOptions): AsyncGenerator<VerbEvent<ExplainResult>> {
  checkRanges(options);
  const camera = pickName('camera', options.camera ?? 'none', cameraChoices);
  const pictures = await namePictures(options.files, options.output ?? '.');
  const run = yield* openTrainedRun(options.run);
  const { classes, reject } = run.provenance;
  const wanted = options.class === undefined ? undefined : classes.indexOf(pickName('class', options.class, classes));
  const workers = options.workers ?? defaultWorkers();
  await mkdir(options.output ?? '.', { recursive: true }).catch(error => {
    throw explainSystemError(error, options.output ?? '.');
  });
  const questions = options.files.map(file => ({ file }));
  const answers = yield* explainPhotos(
    run,
    questions,
    { camera, workers },
    async (answer, i): Promise<ExplainedPhoto> => {
      if (answer.side === 1) throw seesNoPlaces(run.backbone.title);
      const file = options.files[i]!;
      const top = argMax(answer.probabilities);
      const probability = answer.probabilities[top]!;
      const label = probability >= (reject?.below ?? 0) ? classes[top]! : UNKNOWN;
      const shown = wanted ?? top;
      const place = placeOf(answer, shown);
      const guess = label === UNKNOWN ? ` (${classes[top]}?)` : '';
      const caption = {
        said: `${label}${guess}, ${(100 * probability).toFixed(1)} %`,
        about: `Colour: what speaks for "${classes[shown]}"`,
        camera,
      };
      await writeWhole(pictures[i]!, await drawExplanation(await readPhoto(file), answer, shown, caption));
      const { x, y } = place;
      const where = describePlace(place);
      const border_share = borderShare(answer, shown);
      return { file, picture: pictures[i]!, label, probability, shown: classes[shown]!, where, x, y, border_share };
    },
  );
  const unread = answers.flatMap((answer, i) =>
    'reason' in answer ? [{ file: options.files[i]!, error: answer.reason }] : [],
  );
  const photos = answers.flatMap(answer => ('reason' in answer ? [] : [answer]));
  yield { type: 'result', result: { photos, unread } };
}

const seesNoPlaces = (title: string) =>
  new GraftError(
    'usage',
    `${title} cannot say where it sees a class: none of its features is a mean over places of the picture.`,
    'Train another backbone: graft models lists them.',
  );

/** The pictures' files: none of them is there, and no two are the same. */
async function namePictures(files: readonly string[], folder: string): Promise<string[]> {
  const pictures = files.map(file => join(folder, `${basename(file, extname(file))}-explained.png`));
  for (const [i, picture] of pictures.entries()) {
    const twin = pictures.indexOf(picture);
    if (twin !== i) {
      throw new GraftError(
        'usage',
        `${files[twin]} and ${files[i]} would both become ${picture}.`,
        'Explain them in two calls, with another --output for each.',
      );
    }
    const isThere = await access(picture).then(
      () => true,
      error => {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
        throw explainSystemError(error, picture);
      },
    );
    if (isThere) {
      throw new GraftError('exists', `${picture} exists.`, 'Name another folder with --output, or take it away.');
    }
  }
  return pictures;
}
