// A page and its charts: what strangers wrote is text, whatever it looks like, and nothing is fetched or run.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseHTML } from 'linkedom';
import { h } from 'preact';
import { colourOf, countChart, lineChart, reliabilityChart } from '../../src/page/charts.ts';
import { Chart, renderPage } from '../../src/page/frame.tsx';
import { style } from '../../src/page/style.ts';

const NASTY = `</title><script>alert("1")</script><img src=x onerror='alert(2)'>&amp;`;

/** Relative luminance of #rrggbb (WCAG 2.1). */
function luminanceOf(colour: string): number {
  const [r, g, b] = [1, 3, 5].map(at => {
    const part = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
}

test('text and lines stand out from what is behind them as WCAG 2.1 AA wants, on light and dark', () => {
  const schemes = [...style.matchAll(/:root \{([^}]*--ink[^}]*)\}/g)].map(
    ([, rules]) => new Map([...rules!.matchAll(/--(\w+): (#\w{6})/g)].map(([, name, colour]) => [name!, colour!])),
  );
  assert.equal(schemes.length, 2);
  for (const scheme of schemes) {
    for (const [name, colour] of scheme) {
      if (['paper', 'pane', 'line'].includes(name)) continue;
      const behind = name.startsWith('c') ? ['paper'] : ['paper', 'pane'];
      const wanted = name.startsWith('c') ? 3 : 4.5;
      for (const other of behind) {
        const [dim, bright] = [colour, scheme.get(other)!].map(luminanceOf).sort((a, b) => a - b);
        const contrast = (bright! + 0.05) / (dim! + 0.05);
        assert.ok(contrast >= wanted, `--${name} ${colour} on --${other}: ${contrast.toFixed(2)}`);
      }
    }
  }
});

/** Numbers of a path. */
const pointsOf = (path: Element) =>
  [...path.getAttribute('d')!.matchAll(/(-?[\d.]+),(-?[\d.]+)/g)].map(([, x, y]) => [Number(x), Number(y)] as const);

test('titles, names and legends are text', () => {
  const counts = [{ name: NASTY, group: 'train', count: 3 }];
  const legend = ['train', NASTY].map((name, i) => ({ name, colour: colourOf(i) }));
  const marks = [{ x: 1, text: NASTY }];
  const points = [0, 1].map(x => ({ x, y: x, series: NASTY }));
  const html = renderPage(NASTY, [
    h('p', { title: NASTY }, NASTY),
    h(Chart, { title: NASTY, legend, svg: countChart(counts, ['train']) }),
    h(Chart, { title: 'lines', svg: lineChart({ points, series: [NASTY], x: NASTY, y: NASTY, marks }) }),
  ]);
  assert.doesNotMatch(html, /<script|<img|&amp;amp;amp;/);
  const { document } = parseHTML(html);
  assert.equal(document.title, NASTY);
  assert.equal(document.querySelector('p')!.textContent, NASTY);
  assert.equal(document.querySelector('p')!.getAttribute('title'), NASTY);
  assert.deepEqual([...document.querySelectorAll('script, img')], []);
  assert.equal(document.querySelector('figure [role=img]')!.getAttribute('aria-label'), NASTY);
  const policy = document.querySelector('meta[http-equiv=Content-Security-Policy]')!.getAttribute('content')!;
  assert.deepEqual(policy.split('; '), ["default-src 'none'", 'img-src data:', "style-src 'unsafe-inline'"]);
});

test('parts of 1 are drawn where percent say, with the origin at the lower left', () => {
  const points = [
    { x: 0, y: 0, series: 'a' },
    { x: 0.5, y: 0.25, series: 'a' },
    { x: 1, y: 1, series: 'a' },
  ];
  const axes = { xDomain: [0, 1], yDomain: [0, 1], percent: 'both', x: 'x', y: 'y' } as const;
  const { document } = parseHTML(lineChart({ points, series: ['a'], ...axes }));
  const [start, middle, end] = pointsOf(document.querySelector('[aria-label=line] path')!);
  assert.equal(start![0] + (end![0] - start![0]) / 2, middle![0]);
  assert.equal(start![1] + (end![1] - start![1]) / 4, middle![1]);
  assert.ok(end![0] > start![0] && end![1] < start![1]);
  const ticks = [...document.querySelectorAll('[aria-label="x-axis tick label"] text')].map(node => node.textContent);
  assert.deepEqual(ticks, ['0', '20', '40', '60', '80', '100']);
});

test('a reliability chart has a dot and an interval per bin', () => {
  const bins = [0.3, 0.6, 0.9].map(x => ({ x, y: x - 0.1, low: x - 0.2, high: x + 0.05, count: 10 * x }));
  const { document } = parseHTML(reliabilityChart(bins));
  assert.equal(document.querySelectorAll('circle').length, 3);
  assert.equal(document.querySelectorAll('[aria-label=rule] line').length, 3);
});

test('bars are as long as their counts, and names beside them are cut to their place, wide letters too', () => {
  const names = ['one', '葉'.repeat(40), '🍃'.repeat(40), 'x'.repeat(300)];
  const counts = names.flatMap((name, i) => [
    { name, group: 'train', count: 10 * (i + 1) },
    { name, group: 'test', count: 5 },
  ]);
  const { document } = parseHTML(countChart(counts, ['train', 'test']));
  const widths = [...document.querySelectorAll('[aria-label=bar] rect')].map(bar => Number(bar.getAttribute('width')));
  assert.equal(widths.length, 8);
  const longest = Math.max(...widths);
  assert.ok(Math.abs(longest / Math.min(...widths) - 8) < 0.1, widths.join(' '));
  const labels = [...document.querySelectorAll('[aria-label="y-axis tick label"] text')].map(node => node.textContent!);
  assert.deepEqual(labels, ['one', `${'葉'.repeat(11)}…`, `${'🍃'.repeat(11)}…`, `${'x'.repeat(23)}…`]);
});
