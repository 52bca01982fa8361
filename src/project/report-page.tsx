// The report as a page: its sections, in the order in which a person asks.
import { basename, resolve } from 'node:path';
import type { Steps } from '../base/events.ts';
import { argMax } from '../evaluate/metrics.ts';
import { renderPage } from '../page/frame.tsx';
import { openThumbnails, type Thumbnails } from '../page/thumbnails.ts';
import { EXAMPLE_SIZE, type ExplainedExample, type ReportData } from './collect-report.ts';
import { describeTrained } from './evaluate-model.ts';
import { percent, range } from './number-words.ts';
import { BackgroundSection, DatasetSection, ExportsSection, SettingsSection } from './report-facts.tsx';
import {
  CalibrationSection,
  ClassesSection,
  CurvesSection,
  RejectionSection,
  TrainingSection,
} from './report-figures.tsx';
import { ConfusionSection, ExamplesSection, type ShownExample, type ShownPhoto } from './report-photos.tsx';

/** Bytes that the pictures of a report may take in it, and most photos that are shown. */
const MAX_PICTURE_BYTES = 12_000_000;
const MAX_PHOTOS = 2500;
const THUMBNAIL = 96;

/** Renders a report. */
export async function* renderReport(data: ReportData): Steps<{ readonly html: string; readonly leftOut: number }> {
  const { run, evaluated, photosAre, seen } = data;
  const { figures } = evaluated;
  const thumbnails = openThumbnails(MAX_PICTURE_BYTES);
  // In the order of their worth: room may end.
  const mistakes = await drawExamples(data, data.mistakes, thumbnails);
  const best = await drawExamples(data, data.best, thumbnails);
  const photos = yield* drawPhotos(data, thumbnails);
  const leftOut = evaluated.photos.length - photos.filter(photo => photo.picture !== undefined).length;
  const worst = worstPair(figures.confusion);
  const { classes } = run.provenance;
  const title = `${run.backbone.title} for ${classes.length} classes: ${percent(figures.accuracy)} right`;
  const date = new Date().toLocaleDateString('en-GB', { dateStyle: 'long' });
  const trained = seen.train > 0 ? [describeTrained(seen.train, evaluated.photos.length)] : [];
  const html = renderPage(
    `${basename(resolve(run.folder))}, ${date}: ${title}`,
    <>
      <header>
        <h1>{title}</h1>
        <p class="soft">
          {run.folder}, examined on {photosAre}
          {data.camera === 'none' ? '' : `, as the ${data.camera} camera sees them`}, {date}
        </p>
        <p class="lead">
          Of {photosAre} the model is right on <b>{percent(figures.accuracy)}</b>. Of others like them it would be on{' '}
          {range(figures.interval)} (95 % sure).
          {worst
            ? ` Most often it takes ${classes[worst.truth]} for ${classes[worst.said]} (${worst.count} ${worst.count === 1 ? 'time' : 'times'}).`
            : ' It made no mistake.'}
        </p>
        {seen.validation > 0 && (
          <p class="soft">
            The epoch was chosen on{' '}
            {seen.validation === evaluated.photos.length ? 'these' : `${seen.validation} of these`} photos
            {run.provenance.temperature === undefined ? '' : ', and the temperature fitted to them'}, which flatters a
            little; photos that training has not seen tell more.
          </p>
        )}
        {[...trained, ...figures.notes, ...(data.background.note ? [data.background.note] : [])].map(note => (
          <p class="note" key={note}>
            {note}
          </p>
        ))}
      </header>
      <ClassesSection figures={figures} />
      <ConfusionSection classes={classes} confusion={figures.confusion} photos={photos} leftOut={leftOut} />
      <ExamplesSection
        title="Worst mistakes"
        about="Wrong, and most sure of it. On the right, in colour: what speaks for what the model says."
        nothing="There are none."
        examples={mistakes}
      />
      <ExamplesSection
        title="Best examples"
        about="Right, and most sure of it."
        nothing="There are none."
        examples={best}
      />
      <BackgroundSection background={data.background} />
      <CalibrationSection figures={figures} metrics={data.metrics} />
      <RejectionSection figures={figures} reject={run.provenance.reject} />
      <CurvesSection figures={figures} />
      <TrainingSection epochs={data.epochs} metrics={data.metrics} />
      <DatasetSection manifest={data.manifest} excluded={evaluated.excluded} />
      <ExportsSection files={data.exports} run={run.folder} />
      <SettingsSection data={data} />
    </>,
  );
  return { html, leftOut };
}

function worstPair(confusion: readonly (readonly number[])[]) {
  const pairs = confusion.flatMap((row, truth) =>
    row.flatMap((count, said) => (said === truth || count === 0 ? [] : [{ truth, said, count }])),
  );
  return pairs.sort((a, b) => b.count - a.count)[0];
}

/** What is said of a photo. */
function describePhoto({ evaluated, run }: ReportData, index: number): Omit<ShownPhoto, 'picture'> {
  const { predictions, photos } = evaluated;
  const row = predictions.probabilities[index]!;
  const said = argMax(row);
  const { classes, reject } = run.provenance;
  return {
    name: photos[index]!.path,
    truth: predictions.truth[index]!,
    said,
    probability: row[said]!,
    classes,
    isKnown: row[said]! >= (reject?.below ?? 0),
  };
}

async function drawExamples(
  data: ReportData,
  examples: readonly ExplainedExample[],
  thumbnails: Thumbnails,
): Promise<ShownExample[]> {
  const shown: ShownExample[] = [];
  for (const { index, map } of examples) {
    const photo = describePhoto(data, index);
    const { file } = data.evaluated.photos[index]!;
    const picture = await thumbnails.photo(file, EXAMPLE_SIZE);
    shown.push({ ...photo, picture, map: map && thumbnails.picture(map) });
  }
  return shown;
}

/** Thumbnails of the photos: mistakes first, then those that the model is least sure of. */
async function* drawPhotos(data: ReportData, thumbnails: Thumbnails): Steps<ShownPhoto[]> {
  const { photos } = data.evaluated;
  const described = photos.map((_, index) => ({ index, photo: describePhoto(data, index) }));
  const isWrong = ({ photo }: (typeof described)[number]) => Number(photo.said !== photo.truth);
  described.sort((a, b) => isWrong(b) - isWrong(a) || a.photo.probability - b.photo.probability);
  const shown: ShownPhoto[] = [];
  const total = Math.min(described.length, MAX_PHOTOS);
  for (const { index, photo } of described) {
    const picture = shown.length < MAX_PHOTOS ? await thumbnails.photo(photos[index]!.file, THUMBNAIL) : undefined;
    shown.push({ ...photo, picture });
    if (shown.length <= total) yield { type: 'progress', stage: 'report', done: shown.length, total, unit: 'photos' };
  }
  return shown;
}
