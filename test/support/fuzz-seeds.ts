// Sound files of formats that anybody's models and weights come in, as seeds for fuzzing.

import { writeSafetensors } from '../../src/tensor/safetensors.ts';
import { float32, int64, type Tensor } from '../../src/tensor/tensor.ts';
import type { Seed } from './mutate.ts';
import { onnxCases } from './onnx-cases.ts';
import { floatTensor as f, intTensor as i, onnxFile } from './onnx-file.ts';

const whole = (name: string, bytes: Uint8Array): Seed => ({ name, bytes, regions: [[0, bytes.length]] });

/** A classifier of a few layers with the shape arithmetic of an exporter. */
const classifier = onnxFile({
  opset: 13,
  nodes: [
    ['Conv', 'x w b', 'a', { pads: [1, 1, 1, 1], strides: [2, 2] }],
    ['BatchNormalization', 'a s b m v', 'n'],
    ['Relu', 'n', 'r'],
    ['MaxPool', 'r', 'p', { kernel_shape: [2, 2], strides: [2, 2], ceil_mode: 1 }],
    ['Shape', 'p', 'shape'],
    ['Gather', 'shape zero', 'count', { axis: 0 }],
    ['Unsqueeze', 'count axes', 'counts'],
    ['Concat', 'counts rest', 'to', { axis: 0 }],
    ['Reshape', 'p to', 'flat'],
    ['Gemm', 'flat k c', 'logits', { transB: 1 }],
    ['Softmax', 'logits', 'y'],
  ],
  constants: [
    f('w', [4, 3, 3, 3]),
    f('b', [4]),
    f('s', [4]),
    f('m', [4]),
    f('v', [4], [1, 1, 1, 1]),
    i('zero', [0], []),
    i('axes', [0]),
    i('rest', [-1]),
    f('k', [3, 16]),
    f('c', [3]),
  ],
});

/** The classifier, whose structure is most of it, and every case of the import. */
export const onnxSeeds = (): Seed[] => [
  ...Array.from({ length: 40 }, () => whole('classifier', classifier)),
  ...Object.entries(onnxCases).map(([name, spec]) => whole(name, onnxFile(spec))),
];

/** Weights of every type, and a header with metadata. */
export function safetensorsSeeds(): Seed[] {
  const tensors: readonly (readonly [string, Tensor])[] = [
    ['conv.weight', float32([2, 3, 1, 1], [1, 2, 3, 4, 5, 6])],
    ['bn.num_batches_tracked', int64([], [7])],
    ['half', { dtype: 'float16', shape: [3], data: Uint16Array.of(0x3c00, 0, 0x7bff) }],
    ['mask', { dtype: 'bool', shape: [2, 2], data: Uint8Array.of(1, 0, 0, 1) }],
    ['empty', float32([0, 4], [])],
  ];
  const bytes = writeSafetensors(new Map(tensors), { format: 'pt', 'a "quoted" key': '\\' });
  const many = Array.from({ length: 60 }, (_, n) => [`layer.${n}`, float32([n % 3], new Float32Array(n % 3))] as const);
  return [whole('weights', bytes), whole('many tensors', writeSafetensors(new Map(many)))];
}
