// The confusion matrix of the report: of many classes the pairs that are confused most, and cells that do not show all photos.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseHTML } from 'linkedom';
import { h } from 'preact';
import { renderPage } from '../../src/page/frame.tsx';
import { ConfusionSection, type ShownPhoto } from '../../src/project/report-photos.tsx';

/** The section for photos whose class and answer are given; those beyond the first `pictures` have no picture. */
function draw(width: number, answers: readonly (readonly [truth: number, said: number])[], pictures: number) {
  const classes = Array.from({ length: width }, (_, k) => `class ${k}`);
  const confusion = classes.map((_, k) => classes.map((_, j) => answers.filter(([t, s]) => t === k && s === j).length));
  const photos = answers.map(
    ([truth, said], i): ShownPhoto => ({
      name: `${i}.jpg`,
      truth,
      said,
      probability: 0.5,
      isKnown: true,
      classes,
      picture: i < pictures ? 'data:image/webp;base64,AA' : undefined,
    }),
  );
  const leftOut = Math.max(0, answers.length - pictures);
  return parseHTML(renderPage('page', h(ConfusionSection, { classes, confusion, photos, leftOut }))).document;
}

test('a cell says how many of its photos it shows', () => {
  const document = draw(2, [...Array.from({ length: 5 }, () => [1, 0] as const), [0, 0]], 3);
  assert.match(document.querySelector('section p')!.textContent!, /3 photos are counted and not shown/);
  const cell = document.querySelector('#cell-1-0')!;
  assert.match(cell.querySelector('h3')!.textContent!, /^class 1, taken for class 0: 3 of 5 close$/);
  assert.equal(cell.querySelectorAll('img').length, 3);
  assert.deepEqual(
    [...document.querySelectorAll('.matrix td')].map(node => node.textContent),
    ['', '1100.0 %', '0', '5100.0 %', '0'],
  );
});

test('of many classes the most confused pairs are listed, with their photos, and no others', () => {
  // Class k is taken for the next one k + 1 times, and is right once.
  const answers = Array.from({ length: 60 }, (_, k) => [
    [k, k] as const,
    ...Array.from({ length: k + 1 }, () => [k, (k + 1) % 60] as const),
  ]).flat();
  const document = draw(60, answers, answers.length);
  assert.equal(document.querySelector('.matrix'), null);
  const rows = [...document.querySelectorAll('tbody tr')].map(row => [...row.children].map(node => node.textContent));
  assert.equal(rows.length, 50);
  assert.deepEqual(
    [rows[0], rows[49]],
    [
      ['class 59', 'class 0', '60'],
      ['class 10', 'class 11', '11'],
    ],
  );
  const cells = [...document.querySelectorAll('.cell')];
  assert.equal(cells.length, 50);
  for (const [i, link] of [...document.querySelectorAll('tbody a')].entries()) {
    assert.equal(link.getAttribute('href'), `#${cells[i]!.id}`);
    assert.equal(cells[i]!.querySelectorAll('img').length, 60 - i);
  }
});
