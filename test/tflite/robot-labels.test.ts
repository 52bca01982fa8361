// The robot's labels file: its lines, and names that it cannot say.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { robotLabels } from '../../src/tflite/robot-labels.ts';

test('a line per class: index, two spaces, name; nothing behind the last', () => {
  assert.equal(robotLabels(['healthy', 'leaf rust', 'Blätter: 2']), '0  healthy\n1  leaf rust\n2  Blätter: 2');
});

test('names that the program would read otherwise are refused', () => {
  for (const name of ['', ' a', 'a ', '\u00a0a', 'a\nb', 'a\rb', 'a\u2028b', 'a\u0000b', 'healthy']) {
    assert.throws(() => robotLabels(['healthy', name]), { code: 'bad-dataset', message: /The class 1 is called/ });
  }
});
