// Settings that depend on the backbone, and the choice among backbones.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pick } from '../../src/project/choose-model.ts';
import { fitSettings } from '../../src/project/fit-settings.ts';
import { resolveTrainOptions, type TrainOptions } from '../../src/project/train-options.ts';
import { openDefaultBackbone } from '../support/default-backbone.ts';

const backbone = await openDefaultBackbone();
const fit = (options: TrainOptions) => fitSettings(resolveTrainOptions({ data: 'x', ...options }), backbone);

test('views are cached behind frozen stages where they are small, unless something speaks against it', () => {
  const cached = Array.from({ length: 13 }, (_, freeze) => (fit({ freeze }).cutViews > 0 ? freeze : -1));
  // What stages 4 to 11 give takes 10 to 20 KB, before that 38 KB and more.
  assert.deepEqual(
    cached.filter(freeze => freeze >= 0),
    [5, 6, 7, 8, 9, 10, 11, 12],
  );
  assert.equal(fit({ freeze: 5 }).cutViews, 8);
  assert.equal(fit({ freeze: 5, views: 0 }).cutViews, 0);
  assert.equal(fit({ freeze: 5, mixup: 0.2 }).cutViews, 0);
  assert.equal(fit({ freeze: 5, cutViews: 0 }).cutViews, 0);
  assert.equal(fit({ freeze: 1, cutViews: 3 }).cutViews, 3);
});

test('more frozen stages than there are before the last one are refused', () => {
  assert.throws(() => fit({ freeze: 13 }), {
    code: 'usage',
    message: 'The setting freeze is 13, and MobileNetV3-Small has 13 stages.',
    hint: /at most 12/,
  });
});

test('limits without auto, and weights for a model that has its own, are refused', () => {
  const refused = (options: TrainOptions, message: RegExp) =>
    assert.throws(() => resolveTrainOptions({ data: 'x', ...options }), { code: 'usage', message });
  refused({ maxLatency: 5 }, /^max-latency is set, but the model is mobilenet_v3_small\.$/);
  refused({ maxSize: 5, model: 'a.onnx' }, /^max-size is set, but the model is a\.onnx\.$/);
  for (const model of ['auto', './a.onnx', 'hf:timm/resnet18.a1_in1k']) {
    refused({ weights: 'w.gguf', model }, /^weights is set, but the model .* comes with its own\.$/);
  }
  refused(
    { pixels: 'caffe' },
    /^pixels is set, but the model mobilenet_v3_small is MobileNetV3-Small, which says itself/,
  );
  refused({ pixels: 'caffe', model: 'auto' }, /^pixels is set, but auto chooses among networks/);
  refused({ imgsz: 260 }, /^The input size 260 cannot be used/);
  assert.equal(resolveTrainOptions({ data: 'x', model: 'efficientnet_lite2', imgsz: 260 }).imgsz, 260);
  assert.equal(resolveTrainOptions({ data: 'x', model: './inception.onnx', imgsz: 299 }).imgsz, 299);
});

test('the fastest backbone within one standard error of the best is taken', () => {
  const candidate = (name: string, latency_ms: number, accuracy: number | null) => ({
    name,
    latency_ms,
    megabytes: 1,
    accuracy,
  });
  const candidates = [
    candidate('best', 40, 0.95),
    candidate('nearly', 10, 0.935),
    candidate('slower', 20, 0.94),
    candidate('fast', 2, 0.9),
    candidate('too large', 1, null),
  ];
  // One standard error of 0.95 is about 0.022 on 100 photos and 0.007 on 1,000; where all are right it is that of one more, wrong.
  assert.equal(pick(candidates, 100), 'nearly');
  assert.equal(pick(candidates, 1000), 'best');
  assert.equal(pick([candidate('too large', 1, null)], 100), undefined);
  assert.equal(pick([candidate('perfect', 9, 1), candidate('other', 1, 0.98)], 100), 'perfect');
  assert.equal(pick([candidate('perfect', 9, 1), candidate('one photo less', 1, 0.99)], 100), 'one photo less');
  assert.equal(pick([candidate('slow', 300, 1), candidate('fast', 1, 9 / 10)], 10), 'fast');
});
