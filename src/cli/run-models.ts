// Prints the zoo that graft models lists, after what it was asked to fetch.
import { type ListedModel, type ModelsOptions, type ModelsResult, models } from '../project/models.ts';
import type { CommandCode } from './command-code.ts';
import { paint } from './paint.ts';
import { runVerb } from './run-verb.ts';
import { formatTable, printJson } from './text.ts';

export const runModels: CommandCode = async (values, json) => {
  const { fetch, ...rest } = values as unknown as ModelsOptions & { fetch?: string };
  const names = fetch?.split(',').map(name => name.trim());
  const result = await runVerb(models({ ...rest, ...(names && { fetch: names }) }));
  if (json) printJson(result);
  else process.stdout.write(describeModels(result));
  return 0;
};

/** Where weights are fetched from, as the table names it. */
const places = { npm: 'npm', hub: 'Hub' } as const;

function describeModels({ models }: ModelsResult): string {
  if (models.length === 0)
    return 'No backbone is on this computer yet: the first graft train fetches one, and graft models --fetch any.\n';
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
    ...models.filter(isOfOthers).map(({ name, imagenet_top1 }) => `* ${name}: of ${imagenet_top1.weights}.`),
    'Also taken: hf:owner/name for a model on the Hugging Face Hub, and .onnx and .tflite files.',
    '',
  ].join('\n');
}

/** Whether the published accuracy is not that of the weights themselves, but of those that they were made of. */
const isOfOthers = ({ source, imagenet_top1 }: ListedModel): boolean => imagenet_top1.weights !== source.name;

function describeRow(model: ListedModel): string[] {
  const { percent, size } = model.imagenet_top1;
  return [
    model.name,
    `${(model.weights_bytes / 1e6).toFixed(1)} MB`,
    `${(model.parameters / 1e6).toFixed(1)} M`,
    `${(model.multiply_adds / 1e6).toFixed(0)} M`,
    `${percent.toFixed(1)}${isOfOthers(model) ? '*' : ''} @${size}`,
    model.licence,
    places[model.source.kind],
    model.cached === null ? 'no' : 'yes',
  ];
}
