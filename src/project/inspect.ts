// graft inspect: everything that a .tflite file says of itself and what can be computed from it, whoever made it.
import { GraftError } from '../base/errors.ts';
import type { VerbEvent } from '../base/events.ts';
import { readAttachedFiles } from '../tflite/associated-files.ts';
import { countCosts, multiplyAddsOf, operatorName } from '../tflite/costs.ts';
import { decodeMetadata, METADATA_ENTRY, type ModelMetadata } from '../tflite/metadata.ts';
import { type Signature, type Subgraph, subgraphsOf, type TfliteModel, type TfliteOperator } from '../tflite/model.ts';
import { findPrecision } from '../tflite/precision.ts';
import { countOperators, oldestRelease } from '../tflite/runtimes.ts';
import { Activation, Padding, SCHEMA_VERSION } from '../tflite/schema.ts';
import { RUNTIME_VERSION_ENTRY } from '../tflite/write.ts';
import { PROVENANCE_KEY, type Provenance, parseProvenance } from './provenance.ts';
import { readTfliteFile } from './read-tflite-file.ts';

/** Options of `inspect`. */
export interface InspectOptions {
  /** A .tflite file of any origin, or a run folder. */
  readonly model: string;
}

/** Affine quantisation: real = scale * (stored - zero_point); several pairs are per slice of `axis`. */
export interface InspectedQuantization {
  readonly scale: readonly number[];
  readonly zero_point: readonly number[];
  readonly axis: number;
}

/** An input or output of the model. */
export interface InspectedTensor {
  readonly name: string;
  readonly type: string;
  readonly shape: readonly number[];
  /** The shape with -1 where a dimension may change; null when none may. */
  readonly shape_signature: readonly number[] | null;
  readonly quantization: InspectedQuantization | null;
}

/** An operator with the shapes around it; null is an optional input that is not there. */
export interface InspectedOperator {
  readonly subgraph: number;
  readonly index: number;
  readonly op: string;
  readonly version: number;
  readonly inputs: readonly (string | null)[];
  readonly outputs: readonly (string | null)[];
  readonly multiply_adds: number;
  readonly options: Readonly<Record<string, unknown>>;
}

/** Result of `inspect`. */
export interface InspectResult {
  readonly file: string;
  readonly bytes: number;
  readonly description: string;
  readonly schema_version: number;
  /** What the file itself says; null when it does not. */
  readonly min_runtime_version: string | null;
  /** The first release of the runtime that has all operators, by graft's own tables; null when one is not known there. */
  readonly oldest_runtime: string | null;
  readonly precision: ReturnType<typeof findPrecision>;
  readonly inputs: readonly InspectedTensor[];
  readonly outputs: readonly InspectedTensor[];
  readonly parameters: number;
  readonly multiply_adds: number;
  /** Bytes of the constants by element type. */
  readonly constant_bytes: Readonly<Record<string, number>>;
  /** Operators by name and version, most frequent first. */
  readonly operators: ReturnType<typeof countOperators>;
  readonly subgraphs: readonly { readonly name: string; readonly operators: number; readonly tensors: number }[];
  readonly signatures: readonly {
    readonly key: string;
    readonly subgraph: number;
    readonly inputs: readonly string[];
    readonly outputs: readonly string[];
  }[];
  /** TFLite Metadata; null when there is none. */
  readonly metadata: ModelMetadata | null;
  /** All named blobs of the file. */
  readonly metadata_entries: readonly { readonly name: string; readonly bytes: number }[];
  readonly attached_files: readonly { readonly name: string; readonly bytes: number }[];
  /** Names of the classes: of the first attached labels file that the metadata names, else graft's own; null for none. */
  readonly labels: readonly string[] | null;
  /** What graft wrote into the file of how it was made; null when graft did not make it. */
  readonly provenance: Provenance | null;
  /** Parts of the file that are damaged and are left out here. */
  readonly problems: readonly string[];
  readonly operator_table: readonly InspectedOperator[];
}

/**
 * Inspects a model file.
 * @throws GraftError `not-found`, `bad-run`, or `bad-model` when the file is no sound .tflite.
 */
export async function* inspect(options: InspectOptions): AsyncGenerator<VerbEvent<InspectResult>> {
  const { path, bytes, model } = await readTfliteFile(options.model);
  yield { type: 'result', result: inspectModel(path, bytes, model) };
}

/** What the bytes of a file and the model that was read from them tell. */
export function inspectModel(file: string, bytes: Uint8Array, model: TfliteModel): InspectResult {
  const problems: string[] = [];
  /** What a damaged part of the file costs is that part only. */
  const attempt = <T>(read: () => T, otherwise: T): T => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof GraftError)) throw error;
      problems.push(error.message);
      return otherwise;
    }
  };
  const entry = (name: string) => model.metadata.find(candidate => candidate.name === name)?.data;
  const text = (data: Uint8Array) => new TextDecoder().decode(data);
  const described = entry(METADATA_ENTRY);
  const metadata = described ? attempt(() => decodeMetadata(described), null) : null;
  const attached = attempt(() => readAttachedFiles(bytes), new Map<string, Uint8Array>());
  const origin = entry(PROVENANCE_KEY);
  const provenance = origin ? attempt(() => parseProvenance(text(origin), file), null) : null;
  const runtime = entry(RUNTIME_VERSION_ENTRY);
  const operators = countOperators(model);
  const costs = countCosts(model);
  const graphs = subgraphsOf(model);
  return {
    file,
    bytes: bytes.length,
    description: model.description,
    schema_version: SCHEMA_VERSION,
    min_runtime_version: runtime ? text(runtime).split('\0', 1)[0]! : null,
    oldest_runtime: oldestRelease(operators),
    precision: findPrecision(model),
    inputs: model.inputs.map(index => describeTensor(model, index)),
    outputs: model.outputs.map(index => describeTensor(model, index)),
    parameters: costs.parameters,
    multiply_adds: costs.multiplyAdds,
    constant_bytes: costs.constantBytes,
    operators,
    subgraphs: graphs.map(graph => ({
      name: graph.name ?? 'main',
      operators: graph.operators.length,
      tensors: graph.tensors.length,
    })),
    signatures: [...(model.signature ? [model.signature] : []), ...(model.otherSignatures ?? [])].map(
      describeSignature,
    ),
    metadata,
    metadata_entries: model.metadata.map(({ name, data }) => ({ name, bytes: data.length })),
    attached_files: [...attached].map(([name, data]) => ({ name, bytes: data.length })),
    labels: findLabels(metadata, attached) ?? provenance?.classes ?? null,
    provenance,
    problems,
    operator_table: graphs.flatMap((graph, subgraph) => {
      // One text per tensor, however often operators name it: a hostile file names one a million times.
      const texts = graph.tensors.map(({ type, shape }) => `${type.toLowerCase()} [${shape.join(', ')}]`);
      return graph.operators.map((operator, index) => describeOperator(operator, graph, subgraph, index, texts));
    }),
  };
}

function describeTensor(graph: Subgraph, index: number): InspectedTensor {
  const { name, type, shape, shapeSignature, quantization } = graph.tensors[index]!;
  return {
    name,
    type: type.toLowerCase(),
    shape,
    shape_signature: shapeSignature?.includes(-1) ? shapeSignature : null,
    quantization: quantization
      ? { scale: quantization.scale, zero_point: quantization.zeroPoint, axis: quantization.axis }
      : null,
  };
}

function describeSignature({ key, subgraph = 0, inputs, outputs }: Signature): InspectResult['signatures'][number] {
  return { key, subgraph, inputs: inputs.map(({ name }) => name), outputs: outputs.map(({ name }) => name) };
}

function describeOperator(
  operator: TfliteOperator,
  graph: Subgraph,
  subgraph: number,
  index: number,
  texts: readonly string[],
): InspectedOperator {
  const place = (tensor: number) => texts[tensor] ?? null;
  return {
    subgraph,
    index,
    op: operatorName(operator),
    version: operator.version,
    inputs: operator.inputs.map(place),
    outputs: operator.outputs.map(place),
    multiply_adds: multiplyAddsOf(operator, graph),
    options: describeOptions(operator),
  };
}

/** Options as plain JSON: numbers of 64 bits as text, bytes as their number, paddings and activations by name. */
function describeOptions(operator: TfliteOperator): Record<string, unknown> {
  const fields =
    operator.op === 'OTHER'
      ? {
          ...operator.options?.value,
          ...operator.options2?.value,
          ...(operator.customOptions && { custom_options: operator.customOptions }),
        }
      : operator.options;
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => {
      if (typeof value === 'bigint') return [name, String(value)];
      if (name === 'padding') return [name, nameIn(Padding, value)];
      if (name === 'fused_activation_function') return [name, nameIn(Activation, value)];
      return [name, value instanceof Uint8Array ? `${value.length} bytes` : value];
    }),
  );
}

/** The name of a number in an enumeration; what has no name there stays as it is. */
const nameIn = (names: Readonly<Record<string, number>>, value: unknown): unknown =>
  Object.keys(names).find(name => names[name] === value) ?? value;

/** Most bytes of a file of labels that are taken apart; ImageNet's has 22,000. */
const MAX_LABELS_BYTES = 2 ** 20;

/** Names of the classes in the first attached labels file that the metadata names. */
export function findLabels(metadata: ModelMetadata | null, attached: ReadonlyMap<string, Uint8Array>): string[] | null {
  for (const { labels, valueLabels } of metadata?.outputs ?? []) {
    const data = attached.get(labels ?? valueLabels ?? '');
    if (data && data.length <= MAX_LABELS_BYTES) {
      return new TextDecoder()
        .decode(data)
        .replace(/\r?\n$/, '')
        .split(/\r?\n/);
    }
  }
  return null;
}
