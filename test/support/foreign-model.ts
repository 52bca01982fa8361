// Models as other programs write them, with parts of the format that graft never makes.
import type { TfliteModel } from '../../src/tflite/model.ts';
import { tfliteSchema } from '../../src/tflite/schema.ts';
import { writeTflite } from '../../src/tflite/write.ts';
import { writeRoot } from '../../src/tflite/write-flatbuffer.ts';

const text = (value: string) => new TextEncoder().encode(value);
const floats = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer);

/** A model that runs: its operators are built in, and graft makes none of them. */
export const chameleon: Uint8Array = writeTflite(
  {
    description: 'made by hand',
    tensors: [
      { name: 'image', type: 'FLOAT32', shape: [1, 3, 3, 2], shapeSignature: [-1, 3, 3, 2] },
      { name: 'size', type: 'INT32', shape: [2], data: new Uint8Array(Int32Array.of(6, 5).buffer) },
      { name: 'resized', type: 'FLOAT32', shape: [1, 6, 5, 2] },
      { name: 'leaky', type: 'FLOAT32', shape: [1, 6, 5, 2] },
    ],
    operators: [
      {
        op: 'OTHER',
        code: 23,
        name: 'RESIZE_BILINEAR',
        version: 3,
        inputs: [0, 1],
        outputs: [2],
        options: {
          type: 15,
          table: 'ResizeBilinearOptions',
          value: { align_corners: false, half_pixel_centers: true },
        },
      },
      {
        op: 'OTHER',
        code: 98,
        name: 'LEAKY_RELU',
        version: 1,
        inputs: [2],
        outputs: [3],
        options: { type: 75, table: 'LeakyReluOptions', value: { alpha: 0.25 } },
      },
    ],
    inputs: [0],
    outputs: [3],
    metadata: [],
  },
  { stampRuntime: false },
);

/** A model with everything that no runtime runs together. The content is `foreignModel`. */
export const foreignFile: Uint8Array = writeRoot(
  tfliteSchema,
  'Model',
  {
    version: 3,
    description: 'by another program',
    operator_codes: [
      { deprecated_builtin_code: 119, version: 1, builtin_code: 119 },
      { deprecated_builtin_code: 32, version: 4, builtin_code: 32, custom_code: 'TFLite_Detection_PostProcess' },
      // A file from before codes were numbers of 32 bits.
      { deprecated_builtin_code: 3, version: 5, builtin_code: 0 },
      { deprecated_builtin_code: 127, version: 1, builtin_code: 206 },
      { deprecated_builtin_code: 127, version: 1, builtin_code: 148 },
      { deprecated_builtin_code: 44, version: 3, builtin_code: 44 },
    ],
    buffers: [
      { offset: 0 },
      { offset: 0, data: floats(1, 2, 3) },
      { offset: 0, data: text('2.4.0\0\0\0\0\0\0\0\0\0\0\0') },
      // Empty, but not the first: as converters write for tensors without data.
      { offset: 0, data: new Uint8Array(0) },
    ],
    subgraphs: [
      {
        name: 'main',
        tensors: [
          { name: 'in', type: 0, shape: [1, 4], shape_signature: [-1, 4], buffer: 3, has_rank: true },
          {
            name: 'sparse',
            type: 0,
            shape: [2, 4],
            buffer: 1,
            sparsity: {
              traversal_order: [0, 1],
              dim_metadata: [
                { format: 0, dense_size: 2 },
                {
                  format: 1,
                  dense_size: 0,
                  array_segments: { type: 3, table: 'Uint8Vector', value: { values: Uint8Array.of(0, 1, 3) } },
                  array_indices: { type: 2, table: 'Uint16Vector', value: { values: Uint16Array.of(2, 0, 300) } },
                },
              ],
            },
          },
          {
            name: 'ranged',
            type: 0,
            shape: [4],
            buffer: 0,
            quantization: { min: [-1], max: [2], quantized_dimension: 0 },
          },
          {
            name: 'blocks',
            type: 17,
            shape: [2, 64],
            buffer: 0,
            external_buffer: 9,
            quantization: {
              quantized_dimension: 0,
              details: {
                type: 2,
                table: 'BlockwiseQuantization',
                value: { scales: 2, zero_points: -1, block_size: 32 },
              },
            },
          },
          {
            name: 'variant',
            type: 14,
            shape: [],
            buffer: 0,
            is_variable: true,
            variant_tensors: [{ type: 0, shape: [2], has_rank: true }],
          },
          { name: 'out', type: 0, shape: [1, 4], buffer: 0 },
        ],
        inputs: [0],
        outputs: [5],
        operators: [
          {
            opcode_index: 0,
            inputs: [0],
            outputs: [5],
            builtin_options: {
              type: 93,
              table: 'WhileOptions',
              value: { cond_subgraph_index: 1, body_subgraph_index: 1 },
            },
          },
          { opcode_index: 1, inputs: [0, -1], outputs: [5], custom_options: Uint8Array.of(1, 2, 3) },
          {
            opcode_index: 2,
            inputs: [0, 1, -1],
            outputs: [5],
            builtin_options: {
              type: 1,
              table: 'Conv2DOptions',
              value: {
                padding: 1,
                stride_w: 2,
                stride_h: 2,
                fused_activation_function: 3,
                dilation_w_factor: 1,
                dilation_h_factor: 1,
                quantized_bias_type: 2,
              },
            },
          },
          {
            opcode_index: 3,
            inputs: [0],
            outputs: [5],
            builtin_options_2: {
              type: 21,
              table: 'StableHLOCompositeOptions',
              value: {
                name: 'odml.norm',
                decomposition_subgraph_index: 1,
                composite_attributes: Uint8Array.of(9, 8),
                composite_attributes_format: 0,
                version: 1,
              },
            },
          },
          {
            opcode_index: 4,
            inputs: [],
            outputs: [5],
            builtin_options: { type: 114, table: 'RandomOptions', value: { seed: 2n ** 62n, seed2: -1n } },
          },
          {
            opcode_index: 5,
            inputs: [0, 4],
            outputs: [5],
            mutating_variable_inputs: [false, true],
            intermediates: [2],
          },
        ],
      },
      { name: 'body', tensors: [{ name: 'x', type: 0, shape: [1, 4], buffer: 0 }], inputs: [0], outputs: [0] },
    ],
    metadata: [{ name: 'min_runtime_version', buffer: 2 }],
    signature_defs: [
      {
        signature_key: 'serving_default',
        subgraph_index: 0,
        inputs: [{ name: 'a', tensor_index: 0 }],
        outputs: [{ name: 'b', tensor_index: 5 }],
      },
      { signature_key: 'step', subgraph_index: 1, inputs: [{ name: 'x', tensor_index: 0 }], outputs: [] },
    ],
    external_buffer_groups: [{ name: 'other' }, { name: 'weights.bin' }],
    external_buffers: [{ id: 9, group: 1, offset: 4096, length: 64, packing: 'unpacked' }],
  },
  4096,
);

const place = { version: 1, inputs: [0], outputs: [5] };

/** What is in `foreignFile`. */
export const foreignModel: TfliteModel = {
  description: 'by another program',
  tensors: [
    { name: 'in', type: 'FLOAT32', shape: [1, 4], shapeSignature: [-1, 4], hasRank: true },
    {
      name: 'sparse',
      type: 'FLOAT32',
      shape: [2, 4],
      data: floats(1, 2, 3),
      sparsity: {
        traversalOrder: [0, 1],
        blockMap: [],
        dimensions: [
          { size: 2 },
          {
            segments: { type: 3, table: 'Uint8Vector', value: { values: Uint8Array.of(0, 1, 3) } },
            indices: { type: 2, table: 'Uint16Vector', value: { values: Uint16Array.of(2, 0, 300) } },
          },
        ],
      },
    },
    { name: 'ranged', type: 'FLOAT32', shape: [4], range: { min: [-1], max: [2] } },
    {
      name: 'blocks',
      type: 'INT4',
      shape: [2, 64],
      quantizationDetails: {
        type: 2,
        table: 'BlockwiseQuantization',
        value: { scales: 2, zero_points: -1, block_size: 32 },
      },
      external: { group: 'weights.bin', offset: 4096, length: 64, packing: 'unpacked' },
    },
    {
      name: 'variant',
      type: 'VARIANT',
      shape: [],
      isVariable: true,
      variants: [{ type: 0, shape: [2], hasRank: true }],
    },
    { name: 'out', type: 'FLOAT32', shape: [1, 4] },
  ],
  operators: [
    {
      op: 'OTHER',
      code: 119,
      name: 'WHILE',
      ...place,
      options: { type: 93, table: 'WhileOptions', value: { cond_subgraph_index: 1, body_subgraph_index: 1 } },
    },
    {
      op: 'OTHER',
      code: 32,
      name: 'CUSTOM',
      ...place,
      version: 4,
      inputs: [0, -1],
      customCode: 'TFLite_Detection_PostProcess',
      customOptions: Uint8Array.of(1, 2, 3),
    },
    {
      op: 'CONV_2D',
      version: 5,
      inputs: [0, 1, -1],
      outputs: [5],
      options: {
        padding: 1,
        stride_w: 2,
        stride_h: 2,
        fused_activation_function: 3,
        dilation_w_factor: 1,
        dilation_h_factor: 1,
        quantized_bias_type: 2,
      },
    },
    {
      op: 'OTHER',
      code: 206,
      name: 'STABLEHLO_COMPOSITE',
      ...place,
      options2: {
        type: 21,
        table: 'StableHLOCompositeOptions',
        value: {
          name: 'odml.norm',
          decomposition_subgraph_index: 1,
          composite_attributes: Uint8Array.of(9, 8),
          composite_attributes_format: 0,
          version: 1,
        },
      },
    },
    {
      op: 'OTHER',
      code: 148,
      name: 'RANDOM_UNIFORM',
      ...place,
      inputs: [],
      options: { type: 114, table: 'RandomOptions', value: { seed: 2n ** 62n, seed2: -1n } },
    },
    {
      op: 'OTHER',
      code: 44,
      name: 'UNIDIRECTIONAL_SEQUENCE_LSTM',
      version: 3,
      inputs: [0, 4],
      outputs: [5],
      intermediates: [2],
      mutatingInputs: [false, true],
    },
  ],
  inputs: [0],
  outputs: [5],
  otherSubgraphs: [
    {
      name: 'body',
      tensors: [{ name: 'x', type: 'FLOAT32', shape: [1, 4] }],
      operators: [],
      inputs: [0],
      outputs: [0],
    },
  ],
  signature: { key: 'serving_default', inputs: [{ name: 'a', tensor: 0 }], outputs: [{ name: 'b', tensor: 5 }] },
  otherSignatures: [{ key: 'step', inputs: [{ name: 'x', tensor: 0 }], outputs: [], subgraph: 1 }],
  metadata: [{ name: 'min_runtime_version', data: text('2.4.0\0\0\0\0\0\0\0\0\0\0\0') }],
};
