// The rules of the house: which room may import which, no cycles, and who alone may touch the outside.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const source = fileURLToPath(new URL('../../src', import.meta.url));

/** Rooms that a room may import, beside itself: docs/architecture.md shows the same table. */
const mayImport: Record<string, readonly string[]> = {
  base: [],
  hub: ['base'],
  tensor: ['base'],
  image: ['base', 'tensor'],
  onnx: ['base', 'tensor'],
  dataset: ['base', 'tensor', 'image'],
  demo: ['base', 'tensor', 'image'],
  autodiff: ['base', 'tensor', 'onnx'],
  engine: ['base', 'tensor', 'onnx'],
  zoo: ['base', 'hub', 'tensor', 'image', 'onnx'],
  tflite: ['base', 'tensor', 'onnx'],
  evaluate: ['base', 'tensor', 'image'],
  page: ['base'],
  import: ['base', 'tensor', 'image', 'onnx', 'tflite', 'zoo'],
  train: ['base', 'tensor', 'image', 'onnx', 'dataset', 'autodiff', 'engine', 'zoo', 'evaluate'],
  project: [
    'base',
    'tensor',
    'image',
    'onnx',
    'dataset',
    'demo',
    'autodiff',
    'engine',
    'zoo',
    'tflite',
    'evaluate',
    'page',
    'import',
    'train',
  ],
  cli: ['base', 'project'],
};

/** Packages and the rooms that alone may import them. */
const packageRooms: Record<string, readonly string[]> = {
  '@observablehq/plot': ['page'],
  '@bufbuild/protobuf': ['onnx', 'train'],
  '@huggingface/gguf': ['zoo'],
  '@huggingface/hub': ['hub'],
  '@litertjs/core': ['engine'],
  '@npmcli/config': ['zoo'],
  'cli-progress': ['cli'],
  commander: ['cli'],
  'crc-32': ['train'],
  'csv-parse': ['project'],
  'csv-stringify': ['project'],
  'd3-scale-chromatic': ['evaluate'],
  'env-paths': ['project'],
  'fastest-levenshtein': ['zoo'],
  fflate: ['tflite'],
  flatbuffers: ['tflite'],
  'onnxruntime-node': ['engine'],
  linkedom: ['page'],
  open: ['project'],
  preact: ['page', 'project'],
  'preact-render-to-string': ['page'],
  pacote: ['zoo'],
  sharp: ['image', 'demo', 'evaluate', 'page'],
  'string-width': ['cli', 'page'],
  tar: ['zoo'],
  undici: ['hub'],
};

interface Import {
  readonly from: string;
  readonly to: string;
}

const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter(file => /\.tsx?$/.test(file));
const imports = files.flatMap(file => readImports(file));

function readImports(file: string): Import[] {
  const text = readFileSync(join(source, file), 'utf8').replace(/^\s*(\/\/|\*).*$/gm, '');
  const found = text.matchAll(/(?:from|import)\s*\(?\s*['"]([^'"]+)['"]/g);
  return [...found].map(match => ({ from: file, to: match[1]! }));
}

const roomOf = (file: string) => (file.includes('/') ? file.slice(0, file.indexOf('/')) : 'index');
const targetOf = ({ from, to }: Import) => relative(source, resolve(source, dirname(from), to));

test('every room imports only the rooms below it', () => {
  for (const entry of imports.filter(({ to }) => to.startsWith('.'))) {
    const [room, other] = [roomOf(entry.from), roomOf(targetOf(entry))];
    if (room === other || room === 'index') continue;
    assert.ok(mayImport[room], `${entry.from} is in a room that the table does not know`);
    assert.ok(mayImport[room].includes(other), `${entry.from} (${room}) imports ${entry.to} (${other})`);
  }
});

test('packages are touched only in their rooms, and all of them are declared', () => {
  const file = JSON.parse(readFileSync(join(source, '../package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  const used = new Set<string>();
  for (const { from, to } of imports) {
    if (to.startsWith('.') || to.startsWith('node:')) continue;
    const name = to
      .split('/')
      .slice(0, to.startsWith('@') ? 2 : 1)
      .join('/');
    used.add(name);
    assert.ok(packageRooms[name]?.includes(roomOf(from)), `${from} imports ${name}`);
  }
  const reasons = readFileSync(join(source, '../docs/dependencies.md'), 'utf8');
  for (const [name, version] of Object.entries(file.dependencies)) {
    assert.ok(used.has(name), `${name} is a dependency that nothing imports`);
    assert.match(version, /^\d+\.\d+\.\d+$/, `${name} is not pinned`);
    assert.ok(reasons.includes(`\`${name}\``), `docs/dependencies.md does not say why ${name} is there`);
  }
});

test('there are no import cycles', () => {
  const edges = new Map<string, string[]>(files.map(file => [file, []]));
  for (const entry of imports) if (entry.to.startsWith('.')) edges.get(entry.from)!.push(targetOf(entry));
  const state = new Map<string, 'open' | 'done'>();
  const visit = (file: string, path: readonly string[]): void => {
    if (state.get(file) === 'done') return;
    assert.notEqual(state.get(file), 'open', `cycle: ${[...path, file].join(' -> ')}`);
    state.set(file, 'open');
    for (const next of edges.get(file) ?? []) visit(next, [...path, file]);
    state.set(file, 'done');
  };
  for (const file of files) visit(file, []);
});

test('files stay short, tables aside', () => {
  for (const file of files.filter(name => !name.includes('generated'))) {
    const lines = readFileSync(join(source, file), 'utf8').split('\n').length;
    assert.ok(lines <= 420, `${file} has ${lines} lines`);
  }
});
