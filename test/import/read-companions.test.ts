// What files beside a model say of its pixels: Hugging Face's and timm's, old and new, and what is wrong in them.
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { GraftError } from '../../src/base/errors.ts';
import { pixelScales } from '../../src/import/find-preprocess.ts';
import { readCompanions } from '../../src/import/read-companions.ts';
import { assertClose, temporaryFolder } from '../support/reference.ts';

const { mean, std } = pixelScales.imagenet;

test('files beside the model: Hugging Face and timm, old and new', async t => {
  const folder = await temporaryFolder(t);
  assert.equal(await readCompanions(folder), undefined);
  const config = join(folder, 'config.json');
  writeFileSync(config, '{"architecture": "something else", "hidden_size": 96, "mean": null}');
  assert.equal(await readCompanions(folder), undefined);
  writeFileSync(
    config,
    JSON.stringify({
      mean: [0.5, 0.5, 0.5],
      std: [0.5, 0.5, 0.5],
      input_size: [3, 192, 192],
      interpolation: 'bicubic',
    }),
  );
  const old = await readCompanions(folder);
  assert.deepEqual(
    [old?.pixels?.mean, old?.pixels?.std, old?.size, old?.kernel],
    [[0.5, 0.5, 0.5], [0.5, 0.5, 0.5], 192, 'cubic'],
  );
  writeFileSync(
    config,
    JSON.stringify({ pretrained_cfg: { mean, std, input_size: [3, 224, 224], interpolation: 'bilinear' } }),
  );
  const timm = await readCompanions(folder);
  assert.deepEqual([timm?.pixels?.mean, timm?.pixels?.std, timm?.size, timm?.kernel], [mean, std, 224, 'linear']);
  const preprocessor = join(folder, 'preprocessor_config.json');
  writeFileSync(
    preprocessor,
    JSON.stringify({
      do_normalize: true,
      image_mean: [0.5, 0.5, 0.5],
      image_std: [0.5, 0.5, 0.5],
      rescale_factor: 1 / 127.5,
      size: { height: 256, width: 256 },
      resample: 3,
    }),
  );
  const twice = await readCompanions(folder);
  // x = (pixel / 127.5 - 0.5) / 0.5 = (u - 0.25) / 0.25
  assert.deepEqual(
    [twice?.pixels?.mean.map(value => value.toFixed(6)), twice?.size, twice?.kernel],
    [['0.250000', '0.250000', '0.250000'], 256, 'cubic'],
  );
  writeFileSync(preprocessor, JSON.stringify({ do_normalize: false, size: 160 }));
  const unit = await readCompanions(folder);
  assert.deepEqual(
    [unit?.pixels?.mean.map(Math.round), unit?.pixels?.std.map(value => Number(value.toFixed(6))), unit?.size],
    [[0, 0, 0], [1, 1, 1], 160],
  );
  // Without a mean it says nothing, and the other file does.
  writeFileSync(preprocessor, JSON.stringify({ size: { shortest_edge: 256 } }));
  assert.equal((await readCompanions(folder))?.size, 224);
  rmSync(config);
  assert.deepEqual(await readCompanions(folder), { size: 256 });
});

test("a config.json that is not timm's is passed over", async t => {
  const folder = await temporaryFolder(t);
  const config = join(folder, 'config.json');
  const strays = ['{"name":"myapp","mean":"arithmetic"}', '[1,2]', 'null', '{ damaged', '', ' '.repeat(2 ** 20 + 1)];
  for (const text of strays) {
    writeFileSync(config, text);
    assert.equal(await readCompanions(folder), undefined);
  }
  rmSync(config);
  mkdirSync(config);
  assert.equal(await readCompanions(folder), undefined);
  writeFileSync(join(folder, 'preprocessor_config.json'), '{"sampling_rate": 16000}');
  assert.equal(await readCompanions(folder), undefined);
});

test('a preprocessor of transformers is read with its factor, one number for all colours, and what it crops to', async t => {
  const folder = await temporaryFolder(t);
  const read = async (value: object) => {
    writeFileSync(join(folder, 'preprocessor_config.json'), JSON.stringify(value));
    return (await readCompanions(folder))!;
  };
  // (x * factor - mean) / std, at three values of x.
  for (const rescale_factor of [1 / 255, 1 / 127.5, 1]) {
    const found = await read({ rescale_factor, image_mean: 0.5, image_std: [0.25, 0.5, 1] });
    for (const x of [0, 100, 255]) {
      assertClose(
        [0, 1, 2].map(c => (x / 255 - found.pixels!.mean[c]!) / found.pixels!.std[c]!),
        [0.25, 0.5, 1].map(s => (x * rescale_factor - 0.5) / s),
        1e-12,
        `${x}`,
      );
    }
  }
  const half = { image_mean: [0.5, 0.5, 0.5], image_std: [0.5, 0.5, 0.5], size: { shortest_edge: 256 } };
  assert.equal((await read(half)).size, 256);
  assert.equal((await read({ ...half, crop_size: { height: 224, width: 224 } })).size, 224);
  assert.equal((await read({ ...half, crop_size: 224 })).size, 224);
  assert.equal((await read({ ...half, crop_size: 224, do_center_crop: false })).size, 256);
  assert.equal((await read({ ...half, size: null })).size, undefined);
  assert.deepEqual((await read({ ...half, do_rescale: false })).pixels!.std, [0.5 / 255, 0.5 / 255, 0.5 / 255]);
});

test('what is wrong in a file beside the model is refused, with the name of the file', async t => {
  const folder = await temporaryFolder(t);
  const half = { image_mean: [0.5, 0.5, 0.5], image_std: [0.5, 0.5, 0.5] };
  const timm = { pretrained_cfg: { mean, std, input_size: [3, 224, 224] } };
  const withTimm = (changed: object) => ({ pretrained_cfg: { ...timm.pretrained_cfg, ...changed } });
  const cases: readonly (readonly ['preprocessor_config.json' | 'config.json', unknown, RegExp])[] = [
    ['preprocessor_config.json', '{ damaged', / is not JSON \(.*\)\.$/],
    ['preprocessor_config.json', [1], / has \[1\] for the file; an object is wanted\.$/],
    ['preprocessor_config.json', ' '.repeat(2 ** 20 + 1), / has 1048577 bytes, and up to 1048576 are read\.$/],
    ['preprocessor_config.json', { ...half, rescale_factor: 0 }, / has 0 for rescale_factor; a number above 0/],
    ['preprocessor_config.json', { ...half, rescale_factor: '1' }, / for rescale_factor; a number is wanted/],
    [
      'preprocessor_config.json',
      { ...half, image_mean: [0.5, 0.5] },
      / has \[0\.5,0\.5\] for image_mean; three numbers/,
    ],
    ['preprocessor_config.json', { ...half, image_mean: 'x'.repeat(999) }, / has "x{79} for image_mean/],
    ['preprocessor_config.json', { ...half, image_std: [0.5, 0, 0.5] }, / for image_std; three numbers above 0/],
    ['preprocessor_config.json', { ...half, image_std: -1 }, / has -1 for image_std; three numbers above 0/],
    ['preprocessor_config.json', { image_mean: 'x', do_normalize: false }, / for image_mean; three numbers/],
    ['preprocessor_config.json', { ...half, size: { height: 224, width: 192 } }, / for size; a square is wanted/],
    ['preprocessor_config.json', { ...half, size: 1e9 }, / has 1000000000 for size; 16 to 2048 pixels/],
    ['preprocessor_config.json', { ...half, crop_size: { height: 8, width: 8 } }, / has 8 for crop_size; 16 to 2048/],
    ['config.json', { pretrained_cfg: [] }, / for pretrained_cfg; an object/],
    ['config.json', withTimm({ mean: ['a', 0, 0] }), / for mean; three numbers/],
    ['config.json', withTimm({ std: [0.5, 0.5, 0] }), / for std; three numbers above 0/],
    ['config.json', withTimm({ input_size: [1, 224, 224] }), / for input_size; \[3, side, side\] is wanted/],
    ['config.json', withTimm({ input_size: [3, 224.5, 224.5] }), / for input_size; 16 to 2048 pixels/],
  ];
  for (const [name, value, message] of cases) {
    const file = join(folder, name);
    writeFileSync(file, typeof value === 'string' ? value : JSON.stringify(value));
    await assert.rejects(readCompanions(folder), (error: unknown) => {
      assert.ok(error instanceof GraftError, String((error as Error).stack));
      assert.equal(error.code, 'bad-model');
      assert.ok(error.message.startsWith(file), error.message);
      assert.match(error.message, message);
      return true;
    });
    rmSync(file);
  }
});
