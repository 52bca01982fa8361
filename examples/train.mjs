// Trains on ./leaves, then asks the exported file about one photo.
import { finish, predict, train } from 'graft';

const run = await finish(train({ data: './leaves' }), event => {
  if (event.type === 'progress') process.stderr.write(`\r${event.stage} ${event.done}/${event.total}   `);
});
console.log(
  `\n${run.run}: ${(100 * run.validation.accuracy).toFixed(1)} % right, proven on ${run.proof.images} photos`,
);

const { predictions } = await finish(predict({ model: `${run.run}/model.tflite`, files: ['./leaves/healthy'] }));
for (const { file, label, probability } of predictions.slice(0, 3)) console.log(file, label, probability);
