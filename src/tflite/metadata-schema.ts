// The part of the TFLite Metadata schema (1.5.0, namespace tflite) that graft writes and reads, as data.
import type { Schema, TableOf, Tables } from './flatbuffer-schema.ts';

/** Fields of every table. */
const tables = {
  ModelMetadata: {
    name: [0, 'string'],
    description: [1, 'string'],
    version: [2, 'string'],
    subgraph_metadata: [3, '[SubGraphMetadata]'],
    author: [4, 'string'],
    license: [5, 'string'],
    min_parser_version: [7, 'string'],
  },
  SubGraphMetadata: {
    input_tensor_metadata: [2, '[TensorMetadata]'],
    output_tensor_metadata: [3, '[TensorMetadata]'],
    output_tensor_groups: [8, '[TensorGroup]'],
  },
  TensorMetadata: {
    name: [0, 'string'],
    description: [1, 'string'],
    content: [3, 'Content'],
    process_units: [4, '[ProcessUnit]'],
    stats: [5, 'Stats'],
    associated_files: [6, '[AssociatedFile]'],
  },
  Content: { content_properties: [0, 'union ContentProperties'], range: [2, 'ValueRange'] },
  ValueRange: { min: [0, 'int32', 0], max: [1, 'int32', 0] },
  FeatureProperties: {},
  ImageProperties: { color_space: [0, 'int8', 0] },
  BoundingBoxProperties: { index: [0, '[uint32]'], type: [1, 'int8', 0], coordinate_type: [2, 'int8', 0] },
  ProcessUnit: { options: [0, 'union ProcessUnitOptions'] },
  NormalizationOptions: { mean: [0, '[float32]'], std: [1, '[float32]'] },
  Stats: { max: [0, '[float32]'], min: [1, '[float32]'] },
  AssociatedFile: { name: [0, 'string'], description: [1, 'string'], type: [2, 'int8', 0] },
  TensorGroup: { name: [0, 'string'], tensor_names: [1, '[string]'] },
} as const satisfies Tables;

/** Type ids of the two unions; those that are missing are read as unknown. */
export const ContentType = { Feature: 1, Image: 2, BoundingBox: 3 } as const;
export const ProcessUnitType = { Normalization: 1 } as const;

export const ColorSpace = { unknown: 0, rgb: 1, grayscale: 2 } as const;
export const BoundingBoxType = { BOUNDARIES: 1 } as const;
export const CoordinateType = { RATIO: 0 } as const;
export const AssociatedFileType = { TENSOR_AXIS_LABELS: 2, TENSOR_VALUE_LABELS: 3 } as const;

/** The format of the metadata entry. */
export const metadataSchema: Schema<typeof tables> = {
  what: 'TFLite Metadata',
  identifier: 'M001',
  tables,
  unions: {
    ContentProperties: new Map([
      [ContentType.Feature, 'FeatureProperties'],
      [ContentType.Image, 'ImageProperties'],
      [ContentType.BoundingBox, 'BoundingBoxProperties'],
    ]),
    ProcessUnitOptions: new Map([[ProcessUnitType.Normalization, 'NormalizationOptions']]),
  },
};

/** The contents of a table. */
export type MetadataTable<N extends keyof typeof tables> = TableOf<typeof tables, N>;
