// Times the training graph for one number of photos, in a process of its own for its memory. Prints one JSON line.
//
//   node --import tsx bench/support/part-size.ts BACKBONE WEIGHTS.gguf PHOTOS RUNS
import { measureChannelBlock } from '../../src/engine/measure-channel-block.ts';
import { openSession } from '../../src/engine/session.ts';
import { writeOnnx } from '../../src/onnx/write.ts';
import { openBackbone } from './open-backbone.ts';
import { peakMegabytes } from './peak-memory.ts';
import { median } from './statistics.ts';
import { makeTrainingRun } from './training-run.ts';

const [name, weights, photos, runs] = process.argv.slice(2);
const backbone = await openBackbone(name!, weights!);
const { graph, inputs } = await makeTrainingRun(backbone, Number(photos), await measureChannelBlock());
const session = await openSession(writeOnnx(graph), { threads: 1 });
const times: number[] = [];
for (let i = 0; i < Number(runs) + 2; i++) {
  const start = performance.now();
  await session.run(inputs);
  if (i >= 2) times.push(performance.now() - start);
}
await session.close();
console.log(JSON.stringify({ milliseconds: median(times), megabytes: peakMegabytes() }));
