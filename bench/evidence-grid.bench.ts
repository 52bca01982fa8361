// How many cells the maps of graft explain need: whether evidence lies where the spots of drawn leaves are, and whether hiding it
// takes the answer away.
//
//   node --import tsx bench/evidence-grid.bench.ts [--scenes 60] [--sides 7,14,28,56]
import { parseArgs } from 'node:util';
import { openDefaultBackbone } from '../test/support/default-backbone.ts';
import { measurePlaces } from '../test/support/evidence-places.ts';
import { trainLeafHead } from '../test/support/leaf-head.ts';
import { saveResults } from './support/save-results.ts';
import { numbers, round } from './support/statistics.ts';

/** Scenes that the head is trained on. */
const TRAINED_ON = 160;

const { values } = parseArgs({
  options: { scenes: { type: 'string', default: '60' }, sides: { type: 'string', default: '7,14,28,56' } },
});
const scenes = Number(values.scenes);
const backbone = await openDefaultBackbone();
const head = await trainLeafHead(backbone, [['healthy'], ['sick']], TRAINED_ON);
const rows = [];
for (const side of numbers(values.sides)) {
  const places = await measurePlaces(backbone, head, scenes, side);
  rows.push({ side, ...Object.fromEntries(Object.entries(places).map(([name, value]) => [name, round(value, 4)])) });
}
console.table(rows);
saveResults('evidence-grid', { scenes, rows });
