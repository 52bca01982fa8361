// A small real run on drawn leaves, the files that graft export makes of it, and some of its photos.
import { readdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { decodePhoto } from '../../src/image/decode.ts';
import { finish, train } from '../../src/index.ts';
import { exportRun } from '../../src/project/export.ts';
import {
  type FileKind,
  fileName,
  inputTypes,
  plainFile,
  precisions,
  signatures,
} from '../../src/project/tflite-file.ts';
import { drawSmallDataset } from '../../test/support/graft.ts';
import { type Picture, runInLiteRt } from './litert.ts';

/** Letters and a space that only come back when the names are read from the file as UTF-8. */
const SICK = 'leaf blight 葉';
const SIZE = 224;

/** How much likelier the best class has to be than the other in every precision, so that no rounding turns them round. */
const MARGIN = 0.25;
/** Photos of each class. */
const PHOTOS = 4;

/** All files that can be exported. */
export const exportedFiles: readonly (FileKind & { readonly file: string })[] = signatures.flatMap(signature =>
  inputTypes.flatMap(input =>
    precisions.map(precision => ({ precision, signature, input, file: fileName({ precision, signature, input }) })),
  ),
);

/** The run's files and photos. */
export interface ExportedRun {
  /** By name. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly classes: readonly string[];
  readonly pictures: readonly Picture[];
  readonly remove: () => Promise<void>;
}

/** Trains on 40 drawn leaves and exports: about half a minute on two cores. */
export async function makeExportedRun(): Promise<ExportedRun> {
  const set = await drawSmallDataset(40);
  renameSync(join(set.data, 'unhealthy'), join(set.data, SICK));
  const { run, classes } = await finish(
    train({ data: set.data, project: join(set.folder, 'runs'), epochs: 20, fineTuneEpochs: 2, imgsz: SIZE }),
  );
  for (const signature of signatures) {
    for (const input of inputTypes) {
      // Six validation photos are too few to judge an 8-bit file by: one of them is 17 points.
      await finish(exportRun({ run, signature, input, precision: precisions, maxDrop: 100 }));
    }
  }
  const files = new Map(exportedFiles.map(({ file }) => [file, new Uint8Array(readFileSync(join(run, file)))]));
  const pictures = await choosePictures(files, set.data);
  return { files, classes, pictures, remove: set.remove };
}

/** Of each class the photos that the models are least sure of, since rounding shows most there, among those with a margin. */
async function choosePictures(files: ReadonlyMap<string, Uint8Array>, data: string): Promise<Picture[]> {
  const names = readdirSync(data, { recursive: true, encoding: 'utf8' }).filter(name => /\.\w+$/.test(name));
  const pictures = await Promise.all(
    names.map(async (name): Promise<Picture> => {
      const photo = readFileSync(join(data, name));
      return { pixels: await decodePhoto(photo, { size: SIZE, fit: 'squash', kernel: 'cubic' }), size: SIZE };
    }),
  );
  const leads: number[][] = [];
  for (const precision of precisions) {
    const answers = await runInLiteRt(files.get(fileName({ ...plainFile, precision }))!, pictures);
    leads.push(answers.map(([scores]) => scores![0]! - scores![1]!));
  }
  return [1, -1].flatMap(sign => {
    const chosen = pictures
      .map((picture, i) => ({ picture, lead: Math.min(...leads.map(lead => sign * lead[i]!)) }))
      .filter(({ lead }) => lead >= MARGIN)
      .sort((a, b) => a.lead - b.lead)
      .slice(0, PHOTOS);
    if (chosen.length < PHOTOS) throw new Error(`The models are sure of ${chosen.length} photos of a class only.`);
    return chosen.map(({ picture }) => picture);
  });
}
