// The sections of the report with figures and charts.
import type { Figures } from '../evaluate/figures.ts';
import type { RejectRule } from '../evaluate/rejection.ts';
import { colourOf, lineChart, type Point, reliabilityChart } from '../page/charts.ts';
import { Chart } from '../page/frame.tsx';
import type { EpochLine } from './collect-report.ts';
import { type Fields, fieldsOf } from './fields.ts';
import { percent, range } from './number-words.ts';

/** Most classes that have a curve each; of more, those with the smallest area have. */
const MAX_CURVES = 6;

/** Precision, recall and F1 of each class. */
export function ClassesSection({ figures }: { readonly figures: Figures }) {
  const areas = new Map(figures.probability?.curves.map(({ class: name, roc }) => [name, roc?.area]));
  const mean = (name: string, { precision, recall, f1 }: Figures['macro']) => (
    <tr class="soft">
      <th scope="row">{name}</th>
      <td>{figures.images}</td>
      <td>{percent(precision)}</td>
      <td>{percent(recall)}</td>
      <td>{percent(f1)}</td>
      <td />
    </tr>
  );
  return (
    <section>
      <h2>How good it is with each class</h2>
      <p class="soft">
        Precision: of the photos that it calls so, how many are. Recall: of the photos that are, how many it finds. F1:
        both in one number.
      </p>
      <div class="wide">
        <table>
          <thead>
            <tr>
              <th scope="col">class</th>
              <th scope="col">photos</th>
              <th scope="col">precision</th>
              <th scope="col">recall</th>
              <th scope="col">F1</th>
              <th scope="col">ROC AUC</th>
            </tr>
          </thead>
          <tbody>
            {figures.per_class.map(row => (
              <tr key={row.class}>
                <th scope="row">{row.class}</th>
                <td>{row.images}</td>
                <td>{percent(row.precision)}</td>
                <td>{percent(row.recall)}</td>
                <td>{percent(row.f1)}</td>
                <td>{areas.get(row.class)?.toFixed(3) ?? '–'}</td>
              </tr>
            ))}
            {mean('mean of classes', figures.macro)}
            {mean('weighted by photos', figures.weighted)}
          </tbody>
        </table>
      </div>
      <p>
        Balanced accuracy {percent(figures.balanced_accuracy)}
        {figures.probability &&
          `; log-loss ${figures.probability.log_loss.toFixed(3)}; Brier score ${figures.probability.brier.toFixed(3)}`}
        {Object.entries(figures.probability?.top_k ?? {}).map(
          ([k, part]) => `; the class is among its best ${k} on ${percent(part)}`,
        )}
        .
      </p>
    </section>
  );
}

/** Whether probabilities mean what they say. */
export function CalibrationSection({ figures, metrics }: { readonly figures: Figures; readonly metrics: Fields }) {
  const { calibration } = figures.probability ?? {};
  if (!calibration) return null;
  const { temperature } = fieldsOf(metrics.calibration);
  return (
    <section>
      <h2>How sure it may be</h2>
      <p>
        Of the photos of which the model says that it is 80 % sure, 80 % should be right. On average it is off by{' '}
        <b>{percent(calibration.ece)}</b> (expected calibration error).
        {typeof temperature === 'number' &&
          ` The temperature ${temperature.toFixed(2)}, fitted to the validation photos, is in every exported file.`}
      </p>
      <div class="charts">
        <Chart
          title="Reliability"
          svg={reliabilityChart(
            calibration.bins.map(({ confidence, accuracy, interval, images }) => ({
              x: confidence,
              y: accuracy,
              low: interval.low,
              high: interval.high,
              count: images,
            })),
          )}
        >
          <p class="soft">On the dashed line the model is as often right as it says. Lines are 95 % intervals.</p>
        </Chart>
      </div>
    </section>
  );
}

/** When it says "unknown". */
export function RejectionSection({
  figures,
  reject,
}: {
  readonly figures: Figures;
  readonly reject: RejectRule | undefined;
}) {
  const { probability, rejection } = figures;
  if (!probability) return null;
  const points = probability.risk_coverage.map(({ coverage, risk }) => ({ x: coverage, y: risk, series: 'wrong' }));
  return (
    <section>
      <h2>When it says that it does not know</h2>
      {rejection && reject ? (
        <p>
          Below a probability of {rejection.below.toFixed(3)} the answer is <b>unknown</b>
          {reject.wanted === null
            ? ''
            : `, chosen on validation so that ${percent(reject.wanted)} of the others are right`}
          . Of these photos it answers {rejection.accepted} of {rejection.images}
          {rejection.precision !== null &&
            rejection.interval !== null &&
            ` and is right on ${percent(rejection.precision)} of them (${range(rejection.interval)})`}
          .
        </p>
      ) : (
        <p>This model has no threshold: it always answers.</p>
      )}
      <div class="charts">
        <Chart
          title="Risk and coverage"
          svg={lineChart({
            points,
            series: ['wrong'],
            x: 'answered, the surest first (%)',
            y: 'wrong of these (%)',
            xDomain: [0, 1],
            percent: 'both',
            marks: rejection ? [{ x: rejection.accepted / rejection.images, text: 'threshold' }] : [],
          })}
        >
          <p class="soft">The fewer photos it has to answer, the fewer of its answers are wrong.</p>
        </Chart>
      </div>
    </section>
  );
}

/** Each class against the rest. */
export function CurvesSection({ figures }: { readonly figures: Figures }) {
  if (!figures.probability) return null;
  const curves = figures.probability.curves
    .filter(({ roc, precision_recall }) => roc && precision_recall)
    .sort((a, b) => a.roc!.area - b.roc!.area)
    .slice(0, MAX_CURVES);
  if (curves.length === 0) return null;
  const series = curves.map(({ class: name }) => name);
  const pointsOf = (kind: 'roc' | 'precision_recall') =>
    curves.flatMap(curve => curve[kind]!.points.map(([x, y]): Point => ({ x, y, series: curve.class })));
  const legend = series.map((name, i) => ({ name, colour: colourOf(i) }));
  const domains = { xDomain: [0, 1], yDomain: [0, 1], percent: 'both', series } as const;
  const isCut = figures.probability.curves.length > curves.length;
  return (
    <section>
      <h2>Each class against the rest</h2>
      {isCut && <p class="soft">The {curves.length} classes with the smallest area.</p>}
      <div class="charts">
        <Chart
          title="ROC"
          legend={legend}
          svg={lineChart({
            ...domains,
            points: pointsOf('roc'),
            x: 'others that are called so (%)',
            y: 'found (%)',
            diagonal: true,
          })}
        />
        <Chart
          title="Precision and recall"
          legend={legend}
          svg={lineChart({ ...domains, points: pointsOf('precision_recall'), x: 'recall (%)', y: 'precision (%)' })}
        />
      </div>
    </section>
  );
}

/** How training went. */
export function TrainingSection({
  epochs,
  metrics,
}: {
  readonly epochs: readonly EpochLine[];
  readonly metrics: Fields;
}) {
  const phases = [
    { phase: 'head', title: 'Feature extraction: the new head', kept: metrics.best_epoch },
    {
      phase: 'fine-tuning',
      title: 'Fine-tuning',
      kept: fieldsOf(metrics.fine_tuning).best_epoch,
    },
  ];
  const series = ['train', 'validation'];
  const legend = series.map((name, i) => ({ name, colour: colourOf(i) }));
  const shown = phases.filter(({ phase }) => epochs.some(line => line.phase === phase));
  return (
    <section>
      <h2>How it was trained</h2>
      {shown.length === 0 && <p>The run has no results.csv.</p>}
      {shown.map(({ phase, title, kept }) => {
        const lines = epochs.filter(line => line.phase === phase);
        const points = (figure: 'loss' | 'accuracy') =>
          lines.flatMap(line =>
            (['train', 'validation'] as const).map(name => ({
              x: line.epoch,
              y: line[`${name}_${figure}`],
              series: name,
            })),
          );
        const marks = typeof kept === 'number' && kept > 0 ? [{ x: kept, text: 'kept' }] : [];
        return (
          <div key={phase}>
            <h3>{title}</h3>
            <div class="charts">
              <Chart
                title="Loss"
                legend={legend}
                svg={lineChart({ points: points('loss'), series, x: 'epoch', y: 'loss', marks })}
              />
              <Chart
                title="Accuracy"
                legend={legend}
                svg={lineChart({
                  points: points('accuracy'),
                  series,
                  x: 'epoch',
                  y: 'accuracy (%)',
                  percent: 'y',
                  marks,
                })}
              />
            </div>
          </div>
        );
      })}
    </section>
  );
}
