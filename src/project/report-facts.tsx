// The sections of the report with what was used and made: photos, files, settings.
import { Fragment } from 'preact';
import type { Excluded } from '../dataset/folder.ts';
import type { Manifest } from '../dataset/manifest.ts';
import { splits } from '../dataset/splits.ts';
import { colourOf, countChart } from '../page/charts.ts';
import { Chart } from '../page/frame.tsx';
import type { ReportData } from './collect-report.ts';
import type { Background } from './explain-photos.ts';
import type { ExportedFile } from './export.ts';
import { fieldsOf } from './fields.ts';
import { percent } from './number-words.ts';
import { repeatCommand, shellWord } from './repeat-command.ts';

/** Most entries of a list. */
const MAX_LISTED = 20;
/** Most classes that have a bar. */
const MAX_BARS = 40;

/** Whether it looks at what is photographed, or around it. */
export function BackgroundSection({ background }: { readonly background: Background }) {
  const { images, border_share, accuracy, accuracy_without_middle, accuracy_without_border } = background;
  return (
    <section>
      <h2>Whether it looks at the background</h2>
      <table>
        <tbody>
          <tr>
            <th scope="row">right on whole photos</th>
            <td>{percent(accuracy)}</td>
          </tr>
          <tr>
            <th scope="row">with the border covered</th>
            <td>{percent(accuracy_without_border)}</td>
          </tr>
          <tr>
            <th scope="row">with the middle covered</th>
            <td>{percent(accuracy_without_middle)}</td>
          </tr>
        </tbody>
      </table>
      <p>
        On {images} photos {percent(border_share)} of the evidence lies in the border, which is 49 % of a photo.{' '}
        {background.note
          ? ''
          : 'What is photographed is mostly in the middle: a model that goes by the background stays right when the middle is covered, and does not when the border is.'}
      </p>
    </section>
  );
}

/** The photos that it was made from. */
export function DatasetSection({
  manifest,
  excluded,
}: {
  readonly manifest: Manifest;
  readonly excluded: readonly Excluded[];
}) {
  const { photos, classes } = manifest;
  const groups = splits.filter(split => photos.some(photo => photo.split === split));
  const counts = classes.slice(0, MAX_BARS).flatMap(name =>
    groups.map(group => ({
      name,
      group,
      count: photos.filter(photo => photo.class === name && photo.split === group).length,
    })),
  );
  const sides = photos.map(({ width, height }) => Math.max(width, height)).sort((a, b) => a - b);
  const megabytes = photos.reduce((sum, { bytes }) => sum + bytes, 0) / 1e6;
  const left = [...manifest.excluded, ...excluded];
  return (
    <section>
      <h2>The photos</h2>
      <p>
        {photos.length} photos of {classes.length} classes, {megabytes.toFixed(megabytes < 10 ? 1 : 0)} MB; their longer
        side has {sides[0]}
        {sides[0] !== sides.at(-1) && ` to ${sides.at(-1)}`} pixels
        {sides[0] !== sides.at(-1) && `, half of them ${sides[sides.length >> 1]} or more`}.
      </p>
      <Chart
        title={`Photos of each class${classes.length > MAX_BARS ? ` (the first ${MAX_BARS})` : ''}`}
        legend={groups.map((name, i) => ({ name, colour: colourOf(i) }))}
        svg={countChart(counts, groups)}
      />
      {manifest.how.map(sentence => (
        <p class="soft" key={sentence}>
          {sentence}
        </p>
      ))}
      {left.length > 0 && (
        <>
          <h3>Left out: {left.length}</h3>
          <ul>
            {left.slice(0, MAX_LISTED).map(({ path, reason }) => (
              <li key={path}>
                {path}: {reason}
              </li>
            ))}
            {left.length > MAX_LISTED && <li>and {left.length - MAX_LISTED} more</li>}
          </ul>
        </>
      )}
    </section>
  );
}

/** The files that were exported. */
export function ExportsSection({ files, run }: { readonly files: readonly ExportedFile[]; readonly run: string }) {
  return (
    <section>
      <h2>Files for the robot</h2>
      {files.length === 0 ? (
        <p>
          Beside model.tflite none has been exported yet: <code>npx graft export {shellWord(run)}</code> makes smaller
          and faster ones and proves each of them.
        </p>
      ) : (
        <div class="wide">
          <table>
            <thead>
              <tr>
                <th scope="col">file</th>
                <th scope="col">precision</th>
                <th scope="col">MB</th>
                <th scope="col">right</th>
                <th scope="col">same class</th>
                <th scope="col">ms a photo</th>
                <th scope="col" />
              </tr>
            </thead>
            <tbody>
              {files.map(file => (
                <tr key={file.file}>
                  <th scope="row">{file.file}</th>
                  <td>{file.precision}</td>
                  <td>{(file.bytes / 1e6).toFixed(2)}</td>
                  <td>{percent(file.accuracy)}</td>
                  <td>{percent(file.top_class_agreement)}</td>
                  <td>{file.latency_ms.median.toFixed(1)}</td>
                  <td>{file.refused === null ? 'proven' : `refused: ${file.refused}`}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

/** Names and values in a line. */
const listFields = (value: unknown): string =>
  Object.entries(fieldsOf(value))
    .map(([name, field]) => `${name.replaceAll('_', ' ')} ${field}`)
    .join(', ');

/** What it was made with, and how to do it again. */
export function SettingsSection({ data }: { readonly data: ReportData }) {
  const { run, args, metrics } = data;
  const { provenance, backbone } = run;
  const [settings, options] = [fieldsOf(args.settings), fieldsOf(args.options)];
  const { total } = fieldsOf(metrics.seconds);
  const model = options.model !== undefined && typeof settings.model === 'string' ? settings.model : undefined;
  const { licence = 'licence unknown', origin = 'of an origin that nobody says' } = backbone.weights;
  const facts: readonly (readonly [string, string])[] = [
    ['backbone', `${backbone.title} (${provenance.backbone})`],
    ['its weights', `sha256 ${provenance.weights}; ${licence}; ${origin}`],
    ['input', `${provenance.preprocess.size} x ${provenance.preprocess.size} pixels`],
    ['dataset', `sha256 ${provenance.dataset}`],
    ['seed', String(fieldsOf(settings.head).seed ?? 'unknown')],
    ['versions', listFields(args.versions) || `graft ${provenance.graft}`],
    ['machine', listFields(args.machine) || 'unknown'],
    ['training took', typeof total === 'number' ? `${total.toFixed(0)} s` : 'unknown'],
  ];
  return (
    <section>
      <h2>How to do it again</h2>
      <dl>
        {facts.map(([name, value]) => (
          <Fragment key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </Fragment>
        ))}
      </dl>
      <pre>{repeatCommand(run.data, options, model)}</pre>
      <p class="soft">
        The same photos, options and versions give the same model. args.json in the run folder has every setting that
        was used.
      </p>
    </section>
  );
}
