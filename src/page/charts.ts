// Charts as SVG, drawn by Observable Plot without a browser. Lines and text take the page's colours, so that dark mode is CSS alone.
import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';
import stringWidth from 'string-width';
import { seriesColours } from './style.ts';

const { document } = parseHTML('<html><body></body></html>');

/** Width and height of a chart in its own units; the page scales it. */
const SIZE = { width: 400, height: 260 } as const;

type PlotOptions = Plot.PlotOptions;

function draw(options: PlotOptions): string {
  const plot = Plot.plot({
    ...SIZE,
    marginLeft: 48,
    marginBottom: 36,
    document: document as unknown as Document,
    style: { fontSize: '12px', color: 'var(--ink)' },
    ...options,
  });
  return plot.outerHTML;
}

/** A point of a line. */
export interface Point {
  readonly x: number;
  readonly y: number;
  readonly series: string;
}

/** What a chart of lines shows. */
export interface LineChart {
  readonly points: readonly Point[];
  /** In the order of their colours; as `colourOf` gives them. */
  readonly series: readonly string[];
  readonly x: string;
  readonly y: string;
  readonly xDomain?: readonly [number, number];
  readonly yDomain?: readonly [number, number];
  /** Parts of 1 as percent on the y axis; on both axes. */
  readonly percent?: 'y' | 'both';
  /** Upright lines, each with words. */
  readonly marks?: readonly { readonly x: number; readonly text: string }[];
  /** A dashed line from corner to corner. */
  readonly diagonal?: boolean;
}

/** Colour of the series with this number. */
export const colourOf = (index: number): string => seriesColours[index % seriesColours.length]!;

/** Plot counts the domain of a percent scale in percent. */
function scaleOf(domain: readonly [number, number] | undefined, percent: boolean): Plot.ScaleOptions {
  return {
    ...(domain && { domain: domain.map(value => (percent ? 100 * value : value)) }),
    ...(percent && { percent }),
  };
}

/** Lines over numbers. */
export function lineChart(chart: LineChart): string {
  const { points, series, x, y, xDomain, yDomain, percent, marks = [], diagonal } = chart;
  return draw({
    x: { label: x, ticks: 6, ...scaleOf(xDomain, percent === 'both') },
    y: { label: y, grid: true, ...scaleOf(yDomain, percent !== undefined) },
    color: { domain: [...series], range: series.map((_, i) => colourOf(i)) },
    marks: [
      ...(diagonal
        ? [
            Plot.line(
              [
                [0, 0],
                [1, 1],
              ],
              { stroke: 'var(--soft)', strokeDasharray: '4 4' },
            ),
          ]
        : []),
      Plot.ruleX(marks, { x: 'x', stroke: 'var(--soft)', strokeDasharray: '3 3' }),
      Plot.line(points, { x: 'x', y: 'y', stroke: 'series', z: 'series', strokeWidth: 2 }),
      Plot.text(marks, {
        x: 'x',
        text: 'text',
        frameAnchor: 'top',
        dx: 4,
        textAnchor: 'start',
        fill: 'var(--soft)',
        // Lines behind it do not cross it out.
        stroke: 'var(--paper)',
        strokeWidth: 4,
      }),
    ],
  });
}

/** A point with how far it may be from the truth. */
export interface IntervalPoint {
  readonly x: number;
  readonly y: number;
  readonly low: number;
  readonly high: number;
  readonly count: number;
}

/** Parts against parts with their intervals, beside the diagonal where they should be; larger dots stand for more photos. */
export function reliabilityChart(points: readonly IntervalPoint[]): string {
  return draw({
    x: { label: 'how sure the model is (%)', ticks: 6, ...scaleOf([0, 1], true) },
    y: { label: 'how often it is right (%)', grid: true, ...scaleOf([0, 1], true) },
    r: { range: [2, 9] },
    marks: [
      Plot.line(
        [
          [0, 0],
          [1, 1],
        ],
        { stroke: 'var(--soft)', strokeDasharray: '4 4' },
      ),
      Plot.ruleX(points, { x: 'x', y1: 'low', y2: 'high', stroke: 'var(--c0)', strokeOpacity: 0.6 }),
      Plot.dot(points, { x: 'x', y: 'y', r: 'count', fill: 'var(--c0)' }),
    ],
  });
}

/** Counts of things in groups, as bars side by side. */
export interface Count {
  readonly name: string;
  readonly group: string;
  readonly count: number;
}

/** Most columns of a name beside its bar; Chinese letters and emoji take two. */
const MAX_COLUMNS = 24;

/** The beginning of a name that is too long. */
function shorten(name: string): string {
  if (stringWidth(name) <= MAX_COLUMNS) return name;
  let kept = '';
  for (const letter of name) {
    if (stringWidth(kept + letter) >= MAX_COLUMNS) break;
    kept += letter;
  }
  return `${kept}…`;
}

/** Bars of counts: a bar per name, its groups one behind the other. */
export function countChart(counts: readonly Count[], groups: readonly string[]): string {
  const names = [...new Set(counts.map(({ name }) => name))];
  const labels = new Map(names.map(name => [name, shorten(name)]));
  const longest = Math.max(...[...labels.values()].map(label => stringWidth(label)));
  return draw({
    height: 60 + 26 * names.length,
    marginLeft: 16 + 7 * longest,
    x: { label: 'photos', grid: true, ticks: 5 },
    y: { label: null, domain: names, tickFormat: (name: string) => labels.get(name)! },
    color: { domain: [...groups], range: groups.map((_, i) => colourOf(i)) },
    marks: [Plot.barX(counts, { x: 'count', y: 'name', fill: 'group', order: [...groups] })],
  });
}
