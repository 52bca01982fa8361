// Prints the zoo that graft models lists.
import { type ListedModel, type ModelsOptions, type ModelsResult, models } from '../project/models.ts';
import type { CommandCode } from './command-code.ts';
import { paint } from './paint.ts';
import { runVerb } from './run-verb.ts';
import { formatTable, printJson } from './text.ts';

export const runModels: CommandCode = async (values, json) => {
  const result = await runVerb(models(values as ModelsOptions));
  if (json) printJson(result);
  else process.stdout.write(describeModels(result));
  return 0;
};

/** Where weights are fetched from, as the table names it. */
const places = { npm: 'npm', hub: 'Hub' } as const;

function describeModels({ models }: ModelsResult): string {
  if (models.length === 0) return 'No backbone is on this computer yet: the first graft train fetches one.\n';
  const [head, ...lines] = formatTable(
    ['model', 'weights', 'parameters', 'mult-adds', 'ImageNet top-1', 'licence', 'source', 'cached'],
    models.map(describeRow),
  ).split('\n');
  return [
    paint('bold', head!),
    ...lines.map((line, i) => (models[i]!.cached === null ? line : line.replace(/yes$/, paint('green', 'yes')))),
    '',
    'Use one: graft train PHOTOS --model NAME. Weights that are not cached are fetched once.',
    'Top-1: percent of the validation photos, as published, @ side of the input in pixels.',
    'Also taken: hf:owner/name for a model on the Hugging Face Hub, and .onnx and .tflite files.',
    '',
  ].join('\n');
}

function describeRow(model: ListedModel): string[] {
  const { percent, size } = model.imagenet_top1;
  return [
    model.name,
    `${(model.weights_bytes / 1e6).toFixed(1)} MB`,
    `${(model.parameters / 1e6).toFixed(1)} M`,
    `${(model.multiply_adds / 1e6).toFixed(0)} M`,
    `${percent.toFixed(1)} @${size}`,
    model.licence,
    places[model.source.kind],
    model.cached === null ? 'no' : 'yes',
  ];
}
