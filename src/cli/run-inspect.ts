// Prints what graft inspect found in a model.
import { type InspectedTensor, type InspectOptions, type InspectResult, inspect } from '../project/inspect.ts';
import type { CommandCode } from './command-code.ts';
import { paint } from './paint.ts';
import { runVerb } from './run-verb.ts';
import { countOf, formatBytes, formatTable, printable, printJson } from './text.ts';

export const runInspect: CommandCode = async (values, json) => {
  const { ops, ...options } = values;
  const result = await runVerb(inspect(options as unknown as InspectOptions));
  if (json) printJson(result);
  else process.stdout.write(ops === true ? describeOperators(result) : describeModel(result));
  return 0;
};

/** Most labels that are shown; --json has all. */
const MAX_LABELS = 20;

function describeModel(result: InspectResult): string {
  const { operators, metadata, provenance, labels } = result;
  const rows: [string, string | undefined][] = [
    ['description', result.description],
    ['precision', describePrecision(result.precision)],
    ['runtime', describeRuntime(result)],
    ['parameters', countOf(result.parameters)],
    ['multiply-adds', `${countOf(result.multiply_adds)} a run`],
    ['constants', describeBytes(result.constant_bytes)],
    ['subgraphs', result.subgraphs.length > 1 ? result.subgraphs.map(({ name }) => name).join(', ') : undefined],
    ...result.inputs.map((tensor, i): [string, string] => [i === 0 ? 'inputs' : '', describeTensor(tensor)]),
    ...result.outputs.map((tensor, i): [string, string] => [i === 0 ? 'outputs' : '', describeTensor(tensor)]),
    ...result.signatures.map(({ key, inputs, outputs }, i): [string, string] => [
      i === 0 ? 'signatures' : '',
      `${key}: ${inputs.join(', ')} -> ${outputs.join(', ')}`,
    ]),
    ['name', metadata?.name],
    ['about', metadata?.description],
    ['version', metadata?.version],
    ['author', metadata?.author],
    ['licence', metadata?.license],
    ['normalisation', describeNormalisation(result)],
    ['labels', labels ? describeLabels(labels) : undefined],
    ['attached files', result.attached_files.map(({ name, bytes }) => `${name} (${formatBytes(bytes)})`).join(', ')],
    ['metadata', result.metadata_entries.map(({ name, bytes }) => `${name} (${formatBytes(bytes)})`).join(', ')],
    ['made by', provenance ? `graft ${provenance.graft}, backbone ${provenance.backbone}` : undefined],
  ];
  const table = formatTable(
    ['operator', 'version', 'count', 'since'],
    operators.map(({ name, version, count, custom, release }) => [
      name,
      String(version),
      String(count),
      custom ? 'custom' : (release ?? 'unknown'),
    ]),
  );
  return [
    `${paint('bold', printable(result.file))}: TFLite model, ${formatBytes(result.bytes)}`,
    '',
    formatList(rows.filter((row): row is [string, string] => Boolean(row[1]))),
    '',
    table,
    ...result.problems.map(problem => `\n${paint('yellow', 'left out:')} ${printable(problem)}`),
    '',
  ].join('\n');
}

/** Names and texts, side by side. */
function formatList(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, text]) => `${name.padEnd(width)}  ${printable(text)}`).join('\n');
}

function describeOperators({ operator_table: table, subgraphs }: InspectResult): string {
  const rows = table.map(({ subgraph, index, op, version, inputs, outputs, multiply_adds: work, options }) => {
    const place = subgraphs.length > 1 ? `${subgraph}.${index}` : String(index);
    const list = (tensors: readonly (string | null)[]) => tensors.map(tensor => tensor ?? '-').join(', ');
    const said = Object.entries(options).map(
      ([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
    );
    return `${place}  ${op} ${version}  ${list(inputs)} -> ${list(outputs)}  ${[work > 0 ? `multiply-adds=${work}` : '', ...said].filter(Boolean).join(' ')}`.trimEnd();
  });
  return `${rows.map(printable).join('\n')}\n`;
}

function describeTensor({ name, type, shape, shape_signature, quantization }: InspectedTensor): string {
  const dims = (shape_signature ?? shape).map(dim => (dim === -1 ? '?' : dim)).join(', ');
  const scale = quantization?.scale[0];
  const said =
    quantization === null
      ? ''
      : quantization.scale.length > 1
        ? `, ${quantization.scale.length} scales along axis ${quantization.axis}`
        : `, scale ${Number(scale!.toPrecision(6))}, zero point ${quantization.zero_point[0]}`;
  return `${name}: ${type} [${dims}]${said}`;
}

function describePrecision({ name, operators }: InspectResult['precision']): string {
  if (name !== 'mixed') return name;
  const parts = Object.entries(operators).map(([part, count]) => `${count} ${part}`);
  return `mixed: ${parts.join(', ')}`;
}

function describeRuntime({ oldest_runtime: oldest, min_runtime_version: said, operators }: InspectResult): string {
  const missing = operators.filter(({ release }) => release === null).map(({ name, version }) => `${name} ${version}`);
  const found = oldest === null ? `unknown, because of ${missing.join(', ')}` : `TFLite ${oldest} or later`;
  return said ? `${found} (the file says ${said})` : found;
}

function describeBytes(bytes: InspectResult['constant_bytes']): string {
  return Object.entries(bytes)
    .sort(([, a], [, b]) => b - a)
    .map(([type, count]) => `${formatBytes(count)} ${type.toLowerCase()}`)
    .join(', ');
}

function describeNormalisation({ metadata }: InspectResult): string | undefined {
  const { mean, std } = metadata?.inputs.find(input => input.mean) ?? {};
  return mean && std ? `(x - ${listOf(mean)}) / ${listOf(std)}` : undefined;
}

const listOf = (numbers: readonly number[]): string =>
  numbers.length === 1 ? String(numbers[0]) : `[${numbers.join(', ')}]`;

function describeLabels(labels: readonly string[]): string {
  const shown = labels.slice(0, MAX_LABELS).join('; ');
  return labels.length > MAX_LABELS ? `${shown} and ${labels.length - MAX_LABELS} more` : shown;
}
