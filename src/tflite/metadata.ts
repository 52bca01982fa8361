// TFLite Metadata: what a model's inputs and outputs mean, for programs that have never seen it.
import {
  AssociatedFileType,
  BoundingBoxType,
  ColorSpace,
  ContentType,
  CoordinateType,
  type MetadataTable,
  metadataSchema,
  ProcessUnitType,
} from './metadata-schema.ts';
import { readRoot } from './read-flatbuffer.ts';
import { writeRoot } from './write-flatbuffer.ts';

/** Name of the model's metadata entry that holds these bytes. */
export const METADATA_ENTRY = 'TFLITE_METADATA';

/** Versions of the parser that know all fields: tensor groups came with 1.2.0. */
const PLAIN_PARSER = '1.0.0';
const GROUPS_PARSER = '1.2.0';

/** Where left, top, right and bottom stand in a box that is written top, left, bottom, right. */
const BOX_ORDER = [1, 0, 3, 2];

/** What an input or output tensor means. Lists have one number per channel, or one for all. */
export interface TensorMetadata {
  /** Always written: MediaPipe reads it without looking whether it is there. */
  readonly name: string;
  readonly description: string;
  /** Makes it an image. MediaPipe takes 'rgb' alone. */
  readonly colorSpace?: keyof typeof ColorSpace;
  /**
   * What it holds when it is no image. A box is top, left, bottom and right in shares of the picture. Absent in what is
   * read: something that graft has no word for.
   */
  readonly content?: 'feature' | 'boundingBox';
  /** First and last axis that one item takes up. Absent: all but the batch. */
  readonly itemAxes?: readonly [first: number, last: number];
  /** A pixel 0..255 becomes (pixel - mean) / std. MediaPipe wants both for float32 and takes no differing channels. */
  readonly mean?: readonly number[];
  readonly std?: readonly number[];
  /** Range of the values. */
  readonly min?: readonly number[];
  readonly max?: readonly number[];
  /** Name of the attached file with the names of the elements, a line each. */
  readonly labels?: string;
  /** Name of the attached file with the names that the values are the line numbers of, from 0. */
  readonly valueLabels?: string;
}

/** What a model says of itself. A text that is absent in the file is empty. */
export interface ModelMetadata {
  readonly name: string;
  readonly description: string;
  readonly version: string;
  readonly author: string;
  readonly license: string;
  /** In the order of the model's inputs and outputs, one for each. */
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
  /** Outputs whose items belong together, by name. The first group, when the file has several. */
  readonly outputGroup?: { readonly name: string; readonly tensors: readonly string[] };
}

/**
 * The bytes of the model's metadata entry.
 * @throws RangeError when a tensor has a mean without a deviation or the reverse, or lists of different lengths.
 */
export function encodeMetadata(metadata: ModelMetadata): Uint8Array {
  const { name, description, version, author, license, inputs, outputs, outputGroup } = metadata;
  const subgraph: MetadataTable<'SubGraphMetadata'> = {
    input_tensor_metadata: inputs.map(tensorTable),
    output_tensor_metadata: outputs.map(tensorTable),
    output_tensor_groups: outputGroup && [{ name: outputGroup.name, tensor_names: outputGroup.tensors }],
  };
  const root: MetadataTable<'ModelMetadata'> = {
    name,
    description,
    version: version || undefined,
    subgraph_metadata: [subgraph],
    author: author || undefined,
    license: license || undefined,
    min_parser_version: outputGroup ? GROUPS_PARSER : PLAIN_PARSER,
  };
  return writeRoot(metadataSchema, 'ModelMetadata', root, 4096);
}

/**
 * What the bytes of a metadata entry say, graft's own or another program's. What graft has no word for is left out; of
 * several subgraphs the first counts.
 * @throws GraftError `bad-model` when the bytes are damaged or of another format.
 */
export function decodeMetadata(bytes: Uint8Array): ModelMetadata {
  const root = readRoot(metadataSchema, 'ModelMetadata', bytes);
  const subgraph = root.subgraph_metadata?.[0];
  const group = subgraph?.output_tensor_groups?.[0];
  return {
    name: root.name ?? '',
    description: root.description ?? '',
    version: root.version ?? '',
    author: root.author ?? '',
    license: root.license ?? '',
    inputs: (subgraph?.input_tensor_metadata ?? []).map(readTensor),
    outputs: (subgraph?.output_tensor_metadata ?? []).map(readTensor),
    ...(group && { outputGroup: { name: group.name ?? '', tensors: group.tensor_names ?? [] } }),
  };
}

function tensorTable(tensor: TensorMetadata): MetadataTable<'TensorMetadata'> {
  const { name, description, itemAxes, mean, std, min, max } = tensor;
  if (mean?.length !== std?.length) {
    throw new RangeError(`Tensor ${name} has ${mean?.length ?? 0} means and ${std?.length ?? 0} deviations.`);
  }
  const properties = contentOf(tensor);
  const files = [
    associatedFile(tensor.labels, AssociatedFileType.TENSOR_AXIS_LABELS),
    associatedFile(tensor.valueLabels, AssociatedFileType.TENSOR_VALUE_LABELS),
  ].flat();
  return {
    name,
    description,
    content: properties && {
      content_properties: properties,
      range: itemAxes && { min: itemAxes[0], max: itemAxes[1] },
    },
    process_units: mean && [
      { options: { type: ProcessUnitType.Normalization, table: 'NormalizationOptions', value: { mean, std } } },
    ],
    stats: (min || max) && { max, min },
    associated_files: files.length > 0 ? files : undefined,
  };
}

function contentOf({ colorSpace, content }: TensorMetadata): MetadataTable<'Content'>['content_properties'] {
  if (colorSpace) {
    return { type: ContentType.Image, table: 'ImageProperties', value: { color_space: ColorSpace[colorSpace] } };
  }
  if (content === 'feature') return { type: ContentType.Feature, table: 'FeatureProperties', value: {} };
  if (content === undefined) return undefined;
  const value: MetadataTable<'BoundingBoxProperties'> = {
    index: BOX_ORDER,
    type: BoundingBoxType.BOUNDARIES,
    coordinate_type: CoordinateType.RATIO,
  };
  return { type: ContentType.BoundingBox, table: 'BoundingBoxProperties', value };
}

const associatedFile = (name: string | undefined, type: number): MetadataTable<'AssociatedFile'>[] =>
  name === undefined ? [] : [{ name, description: 'Names of the classes, a line each.', type }];

function readTensor(table: MetadataTable<'TensorMetadata'>): TensorMetadata {
  const { content, stats } = table;
  const unit = table.process_units?.find(({ options }) => options?.type === ProcessUnitType.Normalization);
  const { mean, std } = (unit?.options?.value ?? {}) as MetadataTable<'NormalizationOptions'>;
  const fileOf = (type: number) => table.associated_files?.find(file => file.type === type)?.name;
  const labels = fileOf(AssociatedFileType.TENSOR_AXIS_LABELS);
  const valueLabels = fileOf(AssociatedFileType.TENSOR_VALUE_LABELS);
  return {
    name: table.name ?? '',
    description: table.description ?? '',
    ...readContent(content?.content_properties),
    ...(content?.range && { itemAxes: [content.range.min, content.range.max] as const }),
    ...(mean && std && { mean, std }),
    ...(stats?.min && { min: stats.min }),
    ...(stats?.max && { max: stats.max }),
    ...(labels !== undefined && { labels }),
    ...(valueLabels !== undefined && { valueLabels }),
  };
}

function readContent(
  properties: MetadataTable<'Content'>['content_properties'],
): Pick<TensorMetadata, 'colorSpace' | 'content'> {
  if (properties?.type === ContentType.Feature) return { content: 'feature' };
  if (properties?.type === ContentType.Image) {
    const { color_space: number } = properties.value as MetadataTable<'ImageProperties'>;
    const names = Object.keys(ColorSpace) as (keyof typeof ColorSpace)[];
    return { colorSpace: names.find(name => ColorSpace[name] === number) ?? 'unknown' };
  }
  if (properties?.type !== ContentType.BoundingBox) return {};
  const box = properties.value as MetadataTable<'BoundingBoxProperties'>;
  const same =
    box.index?.join() === BOX_ORDER.join() &&
    box.type === BoundingBoxType.BOUNDARIES &&
    box.coordinate_type === CoordinateType.RATIO;
  return same ? { content: 'boundingBox' } : {};
}
