// Small ONNX files, at least one for every op that is imported and for every change between opsets. The input `x` is
// [N, 3, 8, 8] unless the case says otherwise.
import { boolTensor, type FileSpec, floatTensor as f, intTensor as i } from './onnx-file.ts';

const c331 = f('w', [4, 3, 3, 3]);
const scalar = (name: string, value: number) => f(name, [], [value]);
/** An op on `x` alone. */
const alone = (op: string, attributes = {}, opset = 17): FileSpec => ({ opset, nodes: [[op, 'x', 'y', attributes]] });
/** Positive numbers first. */
const positive = (op: string, opset = 17, attributes = {}): FileSpec => ({
  opset,
  nodes: [
    ['Abs', 'x', 'a'],
    ['Add', 'a half', 'b'],
    [op, 'b', 'y', attributes],
  ],
  constants: [scalar('half', 0.5)],
});
/** A constant that is computed, and added to `x`. */
const computed = (nodes: FileSpec['nodes'], constants: FileSpec['constants'] = [], opset = 17): FileSpec => ({
  opset,
  nodes: [...nodes, ['Add', 'x k', 'y']],
  constants,
});
/** A computed list of booleans chooses one of two constants. */
const chosen = (nodes: FileSpec['nodes'], constants: FileSpec['constants'] = []): FileSpec =>
  computed([...nodes, ['Where', 'c p q', 'k']], [...constants, f('p', [8]), f('q', [8])]);
const eight = f('a', [8], [1, 2, 3, 4, 5, 6, 7, 8]);
const other = f('b', [8], [8, 2, 1, 4, 9, 6, 0, 3]);
const flags = boolTensor('s', [1, 0, 1, 1, 0, 0, 1, 0]);
const others = boolTensor('t', [1, 1, 0, 1, 0, 1, 0, 0]);

/** The cases by name; a name begins with the op that it is for. */
export const onnxCases: Readonly<Record<string, FileSpec>> = {
  Abs: alone('Abs'),
  Add: { opset: 7, nodes: [['Add', 'x k', 'y']], constants: [f('k', [3, 1, 1])] },
  'And, Not, Or, Xor': chosen(
    [
      ['And', 's t', 'u'],
      ['Or', 's t', 'v'],
      ['Not', 'u', 'w'],
      ['Xor', 'w v', 'c'],
    ],
    [flags, others],
  ),
  AveragePool: alone('AveragePool', { kernel_shape: [3, 2], strides: [2, 1], pads: [1, 0, 0, 1] }, 7),
  'AveragePool counts padding': alone('AveragePool', {
    kernel_shape: [3, 3],
    pads: [1, 1, 1, 1],
    count_include_pad: 1,
  }),
  'AveragePool with ceil_mode': alone('AveragePool', { kernel_shape: [3, 3], strides: [2, 2], ceil_mode: 1 }),
  'AveragePool with ceil_mode and padding': alone(
    'AveragePool',
    { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1], ceil_mode: 1 },
    19,
  ),
  'AveragePool with auto_pad': alone('AveragePool', { kernel_shape: [3, 3], strides: [2, 2], auto_pad: 'SAME_UPPER' }),
  BatchNormalization: {
    opset: 7,
    nodes: [['BatchNormalization', 'x s b m v', 'y', { epsilon: 0.01, momentum: 0.9 }]],
    constants: [f('s', [3]), f('b', [3]), f('m', [3]), f('v', [3], [0.5, 1, 2])],
  },
  'BatchNormalization since opset 15': {
    opset: 15,
    nodes: [['BatchNormalization', 'x s b m v', 'y']],
    constants: [f('s', [3]), f('b', [3]), f('m', [3]), f('v', [3], [0.5, 1, 2])],
  },
  Cast: { opset: 13, inputType: 2, nodes: [['Cast', 'x', 'y', { to: 1 }]] },
  'Cast of constants': computed(
    [
      ['Cast', 'a', 'b', { to: 6 }],
      ['Cast', 'b', 'k', { to: 1 }],
    ],
    [f('a', [3, 1, 1], [1.7, -2.7, 300])],
  ),
  CastLike: computed([['CastLike', 'a b', 'k']], [i('a', [3, 1, 2], [3, 1, 1]), scalar('b', 0)]),
  'Ceil, Floor, Round': computed(
    [
      ['Ceil', 'a', 'b'],
      ['Floor', 'a', 'c'],
      ['Round', 'a', 'd'],
      ['Sum', 'b c d', 'k'],
    ],
    [f('a', [8], [0.5, 1.5, 2.5, -0.5, -1.5, 0.49, 3.2, -7.9])],
  ),
  Celu: alone('Celu', { alpha: 0.7 }, 12),
  'Clip with attributes': alone('Clip', { min: -0.5, max: 0.6 }, 7),
  'Clip with inputs': { opset: 12, nodes: [['Clip', 'x - hi', 'y']], constants: [scalar('hi', 0.4)] },
  'Clip as ReLU6': { opset: 12, nodes: [['Clip', 'x lo hi', 'y']], constants: [scalar('lo', 0), scalar('hi', 6)] },
  'Clip as ReLU': alone('Clip', { min: 0 }, 7),
  Concat: {
    opset: 13,
    nodes: [
      ['Neg', 'x', 'a'],
      ['Concat', 'x a x', 'y', { axis: 1 }],
    ],
  },
  'Concat of one': {
    opset: 13,
    nodes: [
      ['Neg', 'x', 'a'],
      ['Concat', 'a', 'y', { axis: 1 }],
    ],
  },
  'Concat with a token in front': {
    opset: 13,
    shape: [3, 8, 8],
    nodes: [
      ['Reshape', 'x to', 'a'],
      ['Shape', 'x', 's'],
      ['Slice', 's zero one zero', 'n'],
      ['Concat', 'n rest', 't', { axis: 0 }],
      ['Expand', 'token t', 'tokens'],
      ['Concat', 'tokens a', 'y', { axis: 1 }],
    ],
    constants: [i('to', [0, 3, 64]), f('token', [1, 1, 64]), i('rest', [1, 64]), i('zero', [0]), i('one', [1])],
  },
  'Concat with tokens behind': {
    opset: 13,
    batch: 1,
    nodes: [
      ['Reshape', 'x to', 'a'],
      ['Concat', 'a token', 'y', { axis: 1 }],
    ],
    constants: [i('to', [1, 3, 64]), f('token', [1, 2, 64])],
  },
  Constant: computed([['Constant', '', 'k', { value_float: 2.5 }]]),
  'Constant as a tensor': computed([['Constant', '', 'k', { value: f('v', [3, 1, 1]) }]], [], 9),
  ConstantOfShape: computed([['ConstantOfShape', 's', 'k', { value: f('v', [1], [3]) }]], [i('s', [3, 1, 1])]),
  Conv: {
    opset: 7,
    nodes: [['Conv', 'x w b', 'y', { strides: [2, 1], pads: [0, 1, 2, 1], dilations: [1, 2], kernel_shape: [3, 3] }]],
    constants: [c331, f('b', [4])],
  },
  'Conv of groups, SAME_LOWER': {
    opset: 11,
    nodes: [['Conv', 'x w', 'y', { group: 3, strides: [2, 2], auto_pad: 'SAME_LOWER' }]],
    constants: [f('w', [6, 1, 3, 3])],
  },
  'Conv, SAME_UPPER': {
    opset: 11,
    nodes: [['Conv', 'x w', 'y', { strides: [2, 2], auto_pad: 'SAME_UPPER' }]],
    constants: [c331],
  },
  'Conv, VALID': { opset: 11, nodes: [['Conv', 'x w', 'y', { auto_pad: 'VALID' }]], constants: [c331] },
  'Cos, Sin, Tanh': computed(
    [
      ['Cos', 'a', 'b'],
      ['Sin', 'a', 'c'],
      ['Tanh', 'a', 'd'],
      ['Sum', 'b c d', 'k'],
    ],
    [eight],
  ),
  DepthToSpace: {
    opset: 13,
    shape: [3, 8, 8],
    nodes: [
      ['SpaceToDepth', 'x', 'a', { blocksize: 2 }],
      ['DepthToSpace', 'a', 'y', { blocksize: 2, mode: 'DCR' }],
    ],
  },
  'DepthToSpace, CRD': {
    opset: 13,
    nodes: [
      ['SpaceToDepth', 'x', 'a', { blocksize: 2 }],
      ['DepthToSpace', 'a', 'y', { blocksize: 2, mode: 'CRD' }],
    ],
  },
  Div: { opset: 14, nodes: [['Div', 'x k', 'y']], constants: [f('k', [3, 1, 1], [2, -3, 0.5])] },
  'Div of whole numbers': computed(
    [
      ['Div', 'a b', 'c'],
      ['Cast', 'c', 'k', { to: 1 }],
    ],
    [i('a', [7, -7, 9], [3, 1, 1]), i('b', [2, 2, -4], [3, 1, 1])],
  ),
  'Dropout with a ratio': {
    opset: 7,
    nodes: [
      ['Relu', 'x', 'a'],
      ['Dropout', 'a', 'b mask'],
      ['Neg', 'b', 'y'],
    ],
  },
  'Dropout since opset 12': {
    opset: 13,
    nodes: [
      ['Relu', 'x', 'a'],
      ['Dropout', 'a ratio no', 'y'],
    ],
    constants: [scalar('ratio', 0.5), boolTensor('no', [0], [])],
  },
  Elu: alone('Elu', { alpha: 1.3 }, 7),
  'Equal, Greater': chosen(
    [
      ['Equal', 'a b', 'u'],
      ['Greater', 'a b', 'v'],
      ['Or', 'u v', 'c'],
    ],
    [eight, other],
  ),
  'GreaterOrEqual, Less': chosen(
    [
      ['GreaterOrEqual', 'a b', 'u'],
      ['Less', 'b five', 'v'],
      ['And', 'u v', 'c'],
    ],
    [eight, other, scalar('five', 5)],
  ),
  LessOrEqual: chosen([['LessOrEqual', 'a b', 'c']], [eight, other]),
  Erf: alone('Erf', {}, 13),
  Exp: alone('Exp', {}, 7),
  'Exp, Log, Sqrt, Reciprocal of constants': computed(
    [
      ['Exp', 'a', 'b'],
      ['Log', 'a', 'c'],
      ['Sqrt', 'a', 'd'],
      ['Reciprocal', 'a', 'e'],
      ['Sum', 'c d e', 'g'],
      ['Min', 'b g a', 'k'],
    ],
    [eight],
  ),
  Expand: {
    opset: 13,
    nodes: [
      ['ReduceMean', 'x', 'a', { axes: [3], keepdims: 1 }],
      ['Expand', 'a to', 'y'],
    ],
    constants: [i('to', [1, 3, 8, 4])],
  },
  'Expand of a constant': computed([['Expand', 'a to', 'k']], [f('a', [3, 1, 1]), i('to', [3, 8, 1])]),
  Flatten: alone('Flatten', {}, 9),
  'Flatten of a constant': computed(
    [
      ['Flatten', 'a', 'b', { axis: 2 }],
      ['Reshape', 'b to', 'k'],
    ],
    [f('a', [3, 2, 4]), i('to', [3, 1, 8])],
  ),
  'Flatten at another axis': {
    opset: 9,
    nodes: [
      ['Flatten', 'x', 'a', { axis: 2 }],
      ['Reshape', 'a to', 'y'],
    ],
    constants: [i('to', [-1, 192])],
  },
  'Gather of one': { opset: 11, nodes: [['Gather', 'x at', 'y', { axis: 1 }]], constants: [i('at', [-1], [])] },
  'Gather of a range': { opset: 11, nodes: [['Gather', 'x at', 'y', { axis: 2 }]], constants: [i('at', [1, 3, 5])] },
  'Gather of any': { opset: 11, nodes: [['Gather', 'x at', 'y', { axis: 1 }]], constants: [i('at', [2, 0, 2])] },
  'Gather of constants': computed([['Gather', 'a at', 'k', { axis: 0 }]], [f('a', [5, 1, 1]), i('at', [4, -5, 1])]),
  Gelu: alone('Gelu', {}, 20),
  'Gelu, tanh': alone('Gelu', { approximate: 'tanh' }, 20),
  'com.microsoft.Gelu': alone('com.microsoft.Gelu'),
  Gemm: {
    opset: 7,
    nodes: [
      ['Flatten', 'x', 'a'],
      ['Gemm', 'a w b', 'y', { alpha: 0.5, beta: 2, transB: 1 }],
    ],
    constants: [f('w', [5, 192]), f('b', [5])],
  },
  'Gemm without a bias': {
    opset: 11,
    nodes: [
      ['Flatten', 'x', 'a'],
      ['Gemm', 'a w', 'y'],
    ],
    constants: [f('w', [192, 5])],
  },
  GlobalAveragePool: alone('GlobalAveragePool', {}, 7),
  'GlobalAveragePool along a line': {
    opset: 7,
    nodes: [
      ['Reshape', 'x to', 'a'],
      ['GlobalAveragePool', 'a', 'y'],
    ],
    constants: [i('to', [0, 3, 64])],
  },
  GlobalMaxPool: alone('GlobalMaxPool', {}, 7),
  GroupNormalization: {
    opset: 21,
    nodes: [['GroupNormalization', 'x s b', 'y', { num_groups: 1 }]],
    constants: [f('s', [3]), f('b', [3])],
  },
  HardSigmoid: alone('HardSigmoid', {}, 7),
  HardSwish: alone('HardSwish', {}, 14),
  Identity: {
    opset: 7,
    nodes: [
      ['Identity', 'x', 'a'],
      ['Identity', 'a', 'y'],
    ],
  },
  InstanceNormalization: {
    opset: 7,
    nodes: [['InstanceNormalization', 'x s b', 'y', { epsilon: 0.01 }]],
    constants: [f('s', [3]), f('b', [3])],
  },
  LRN: alone('LRN', { size: 3, alpha: 0.3, beta: 0.6, bias: 1.5 }, 7),
  LayerNormalization: {
    opset: 17,
    nodes: [['LayerNormalization', 'x s b', 'y', { axis: -1 }]],
    constants: [f('s', [8]), f('b', [8])],
  },
  'LayerNormalization without a bias': {
    opset: 17,
    nodes: [['LayerNormalization', 'x s', 'y', { axis: 2 }]],
    constants: [f('s', [8, 8])],
  },
  LeakyRelu: alone('LeakyRelu', {}, 7),
  'LeakyRelu over 1': alone('LeakyRelu', { alpha: 1.5 }, 7),
  Log: positive('Log', 7),
  LogSoftmax: { opset: 13, nodes: [['LogSoftmax', 'x', 'y', { axis: 1 }]] },
  MatMul: { opset: 7, nodes: [['MatMul', 'x w', 'y']], constants: [f('w', [8, 5])] },
  Max: {
    opset: 8,
    nodes: [
      ['Neg', 'x', 'a'],
      ['Max', 'x a k', 'y'],
    ],
    constants: [scalar('k', 0.5)],
  },
  'Max, Mod of constants': computed(
    [
      ['Mod', 'a b', 'c', { fmod: 1 }],
      ['Max', 'c e', 'k'],
    ],
    [f('a', [8]), f('b', [8], [1, 2, 3, 4, 5, 6, 7, 8]), f('e', [8])],
  ),
  'Mod of whole numbers': computed(
    [
      ['Mod', 'a b', 'c'],
      ['Cast', 'c', 'k', { to: 1 }],
    ],
    [i('a', [7, -7, 9], [3, 1, 1]), i('b', [3, 3, -4], [3, 1, 1])],
  ),
  MaxPool: alone('MaxPool', { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1], ceil_mode: 1 }, 10),
  'MaxPool with dilations': alone('MaxPool', { kernel_shape: [2, 2], dilations: [2, 2], storage_order: 1 }, 10),
  'MaxPool, a last window in the padding': alone(
    'MaxPool',
    { kernel_shape: [2, 2], strides: [3, 3], pads: [0, 0, 1, 1], ceil_mode: 1 },
    12,
  ),
  Mean: {
    opset: 8,
    nodes: [
      ['Neg', 'x', 'a'],
      ['Mean', 'x a k', 'y'],
    ],
    constants: [f('k', [3, 1, 1])],
  },
  Min: { opset: 8, nodes: [['Min', 'x k', 'y']], constants: [f('k', [8])] },
  Mish: alone('Mish', {}, 18),
  Mul: { opset: 7, nodes: [['Mul', 'x k', 'y']], constants: [f('k', [3, 1, 1])] },
  'Mul, Sub, Neg, Abs, Sign of constants': computed(
    [
      ['Neg', 'a', 'b'],
      ['Abs', 'b', 'c'],
      ['Sign', 'a', 'd'],
      ['Mul', 'c d', 'e'],
      ['Sub', 'e a', 'g'],
      ['Add', 'g a', 'k'],
    ],
    [f('a', [8])],
  ),
  Neg: alone('Neg', {}, 7),
  PRelu: { opset: 9, nodes: [['PRelu', 'x k', 'y']], constants: [f('k', [3, 1, 1])] },
  'Pad with attributes': alone('Pad', { pads: [0, 0, 1, 2, 0, 0, 3, 0], value: 0.5 }, 7),
  'Pad with inputs': {
    opset: 13,
    nodes: [['Pad', 'x p v', 'y']],
    constants: [i('p', [0, 1, 1, 0, 0, 0, 2, 0]), scalar('v', 2)],
  },
  'Pad along named axes': {
    opset: 18,
    nodes: [['Pad', 'x p - a', 'y']],
    constants: [i('p', [1, 2, 0, 1]), i('a', [2, -1])],
  },
  'Pad that cuts off': alone('Pad', { pads: [0, 0, -1, 0, 0, 0, 0, -2] }, 7),
  Pow: { opset: 7, nodes: [['Pow', 'x k', 'y']], constants: [scalar('k', 2)] },
  'Pow of constants': computed([['Pow', 'a b', 'k']], [eight, scalar('b', 0.5)]),
  Range: computed(
    [
      ['Range', 'a b c', 'd'],
      ['Cast', 'd', 'k', { to: 1 }],
    ],
    [i('a', [2], []), i('b', [18], []), i('c', [2], [])],
  ),
  Reciprocal: positive('Reciprocal', 7),
  ReduceL1: alone('ReduceL1', { axes: [1, 3] }, 11),
  ReduceL2: alone('ReduceL2', { axes: [2], keepdims: 0 }, 11),
  ReduceLogSum: positive('ReduceLogSum', 11, { axes: [2, 3] }),
  ReduceLogSumExp: alone('ReduceLogSumExp', { axes: [2, 3] }, 11),
  ReduceMax: alone('ReduceMax', { axes: [2, 3], keepdims: 0 }, 11),
  'ReduceMax, ReduceMin, ReduceProd of constants': computed(
    [
      ['ReduceMax', 'a', 'b', { axes: [0], keepdims: 0 }],
      ['ReduceMin', 'a', 'c', { axes: [-2], keepdims: 0 }],
      ['ReduceProd', 'a', 'd', { axes: [0], keepdims: 0 }],
      ['Sum', 'b c d', 'k'],
    ],
    [f('a', [4, 8])],
    12,
  ),
  ReduceMean: alone('ReduceMean', { axes: [-1, -2], keepdims: 0 }, 11),
  'ReduceMean with an input': {
    opset: 18,
    nodes: [['ReduceMean', 'x a', 'y', { keepdims: 0 }]],
    constants: [i('a', [2, 3])],
  },
  'ReduceMean, ReduceSum of constants': computed(
    [
      ['ReduceMean', 'a', 'b', { axes: [1], keepdims: 1 }],
      ['ReduceSum', 'b z', 'k', { keepdims: 0 }],
    ],
    [f('a', [4, 3, 8]), i('z', [0])],
  ),
  ReduceSum: { opset: 13, nodes: [['ReduceSum', 'x a', 'y']], constants: [i('a', [1])] },
  'ReduceSum that does nothing': {
    opset: 13,
    nodes: [
      ['Neg', 'x', 'a'],
      ['ReduceSum', 'a', 'y', { noop_with_empty_axes: 1 }],
    ],
  },
  ReduceSumSquare: alone('ReduceSumSquare', { axes: [1] }, 11),
  Relu: alone('Relu', {}, 7),
  Reshape: { opset: 7, nodes: [['Reshape', 'x to', 'y']], constants: [i('to', [-1, 64, 3])] },
  'Reshape with 0': { opset: 14, nodes: [['Reshape', 'x to', 'y']], constants: [i('to', [0, -1])] },
  'Reshape by the shape of the input': {
    opset: 11,
    nodes: [
      ['Shape', 'x', 's'],
      ['Gather', 's zero', 'n', { axis: 0 }],
      ['Unsqueeze', 'n', 'm', { axes: [0] }],
      ['Constant', '', 'rest', { value: i('v', [-1]) }],
      ['Concat', 'm rest', 'to', { axis: 0 }],
      ['Reshape', 'x to', 'y'],
    ],
    constants: [i('zero', [0], [])],
  },
  'Reshape that splits channels, shuffles and joins': {
    opset: 9,
    shape: [3, 8, 8],
    nodes: [
      ['Concat', 'x x', 'a', { axis: 1 }],
      ['Mul', 'a k', 'b'],
      ['Reshape', 'b apart', 'c'],
      ['Transpose', 'c', 'd', { perm: [0, 2, 1, 3, 4] }],
      ['Reshape', 'd together', 'y'],
    ],
    constants: [f('k', [6, 1, 1]), i('apart', [-1, 2, 3, 8, 8]), i('together', [-1, 6, 8, 8])],
  },
  'Reshape in a file for one photo': {
    opset: 13,
    batch: 1,
    nodes: [
      ['Reshape', 'x a', 'b'],
      ['Transpose', 'b', 'c', { perm: [2, 0, 1] }],
      ['Reshape', 'c d', 'e'],
      ['Mul', 'e k', 'g'],
      ['Reshape', 'g h', 'i'],
      ['Transpose', 'i', 'j', { perm: [1, 0, 2] }],
      ['Reshape', 'j l', 'y'],
    ],
    constants: [i('a', [1, 3, 64]), i('d', [64, 3]), f('k', [3]), i('h', [64, 1, 3]), i('l', [1, -1])],
  },
  'Resize by scales': {
    opset: 11,
    nodes: [['Resize', 'x roi s', 'y', { mode: 'linear' }]],
    constants: [f('roi', [0]), f('s', [4], [1, 1, 1.5, 2])],
  },
  'Resize to sizes': {
    opset: 13,
    nodes: [
      ['Shape', 'x', 's'],
      ['Slice', 's zero two', 'nc'],
      ['Concat', 'nc hw', 'to', { axis: 0 }],
      [
        'Resize',
        'x - - to',
        'y',
        { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' },
      ],
    ],
    constants: [i('zero', [0]), i('two', [2]), i('hw', [11, 5])],
  },
  'Resize with align_corners': {
    opset: 13,
    nodes: [['Resize', 'x - s', 'y', { mode: 'linear', coordinate_transformation_mode: 'align_corners' }]],
    constants: [f('s', [4], [1, 1, 2, 2])],
  },
  'Resize before opset 11': {
    opset: 10,
    nodes: [['Resize', 'x s', 'y', { mode: 'nearest' }]],
    constants: [f('s', [4], [1, 1, 2, 3])],
  },
  'ScatterND of constants': computed(
    [['ScatterND', 'a at u', 'k']],
    [f('a', [8, 8]), i('at', [1, -1, 0, 2], [2, 2]), f('u', [2])],
  ),
  Selu: alone('Selu', {}, 7),
  'Shape, Size': computed(
    [
      ['Shape', 'x', 's', { start: 1, end: 3 }],
      ['Size', 'a', 'n'],
      ['Mul', 's n', 'p'],
      ['ReduceSum', 'p', 'q'],
      ['Cast', 'q', 'k', { to: 1 }],
    ],
    [f('a', [2, 5])],
  ),
  Sigmoid: alone('Sigmoid', {}, 7),
  Sign: alone('Sign', {}, 9),
  'Slice with attributes': alone('Slice', { starts: [1, 0], ends: [2 ** 63 - 1024, -1], axes: [2, 3] }, 7),
  'Slice backwards': {
    opset: 13,
    nodes: [['Slice', 'x from to axes steps', 'y']],
    constants: [i('from', [-1, 6]), i('to', [-100, 1]), i('axes', [2, 3]), i('steps', [-2, -1])],
  },
  'Slice of everything': {
    opset: 13,
    nodes: [
      ['Neg', 'x', 'a'],
      ['Slice', 'a from to axes', 'y'],
    ],
    constants: [i('from', [0]), i('to', [1000]), i('axes', [1])],
  },
  'Slice of constants': computed(
    [['Slice', 'a from to axes steps', 'k']],
    [f('a', [8, 8]), i('from', [7]), i('to', [-100]), i('axes', [0]), i('steps', [-1])],
  ),
  Softmax: { opset: 13, nodes: [['Softmax', 'x', 'y', { axis: 1 }]] },
  'Softmax over all before opset 13': alone('Softmax', { axis: 2 }, 11),
  'Softmax of a row before opset 13': {
    opset: 7,
    nodes: [
      ['GlobalAveragePool', 'x', 'a'],
      ['Softmax', 'a', 'y'],
    ],
  },
  Softplus: alone('Softplus', {}, 7),
  Softsign: alone('Softsign', {}, 7),
  SpaceToDepth: alone('SpaceToDepth', { blocksize: 4 }, 13),
  Split: {
    opset: 11,
    nodes: [
      ['Split', 'x', 'a b', { axis: 2, split: [3, 5] }],
      ['Concat', 'b a', 'y', { axis: 2 }],
    ],
  },
  'Split since opset 13': {
    opset: 13,
    nodes: [
      ['Split', 'x s', 'a b c', { axis: 1 }],
      ['Concat', 'c a b', 'y', { axis: 1 }],
    ],
    constants: [i('s', [1, 1, 1])],
  },
  'Split into equal parts': {
    opset: 18,
    nodes: [
      ['Split', 'x', 'a b', { axis: 3, num_outputs: 2 }],
      ['Sub', 'a b', 'y'],
    ],
  },
  'Split of constants': computed([['Split', 'a', 'b k', { axis: 0 }]], [f('a', [2, 8])]),
  Sqrt: positive('Sqrt', 7),
  Squeeze: {
    opset: 11,
    nodes: [
      ['GlobalAveragePool', 'x', 'a'],
      ['Squeeze', 'a', 'y', { axes: [2, 3] }],
    ],
  },
  'Squeeze since opset 13': {
    opset: 13,
    nodes: [
      ['GlobalAveragePool', 'x', 'a'],
      ['Squeeze', 'a k', 'y'],
    ],
    constants: [i('k', [-1])],
  },
  'Squeeze, Unsqueeze of constants': computed(
    [
      ['Unsqueeze', 'a z', 'b'],
      ['Squeeze', 'b', 'c'],
      ['Unsqueeze', 'c e', 'k'],
    ],
    [f('a', [3]), i('z', [0]), i('e', [1, 2])],
  ),
  Sub: { opset: 14, nodes: [['Sub', 'k x', 'y']], constants: [f('k', [3, 1, 1])] },
  Sum: {
    opset: 8,
    nodes: [
      ['Neg', 'x', 'a'],
      ['Sum', 'x a k x', 'y'],
    ],
    constants: [f('k', [3, 1, 1])],
  },
  Tanh: alone('Tanh', {}, 7),
  ThresholdedRelu: alone('ThresholdedRelu', { alpha: 0.5 }, 10),
  Tile: {
    opset: 13,
    nodes: [
      ['Neg', 'x', 'a'],
      ['Tile', 'a k', 'y'],
    ],
    constants: [i('k', [1, 1, 1, 1])],
  },
  'Tile of constants': computed([['Tile', 'a k2', 'k']], [f('a', [3, 1, 4]), i('k2', [1, 1, 2])]),
  Transpose: alone('Transpose', { perm: [0, 3, 1, 2] }, 7),
  'Transpose of a constant': {
    opset: 7,
    nodes: [
      ['Transpose', 'w', 'v'],
      ['MatMul', 'x v', 'y'],
    ],
    constants: [f('w', [5, 8])],
  },
  Unsqueeze: { opset: 11, nodes: [['Unsqueeze', 'x', 'y', { axes: [1] }]] },
  'Unsqueeze since opset 13': { opset: 13, nodes: [['Unsqueeze', 'x k', 'y']], constants: [i('k', [-1, 1])] },
  Upsample: alone('Upsample', { mode: 'nearest', scales: [1, 1, 2, 3] }, 7),
  'Upsample since opset 9': {
    opset: 9,
    nodes: [['Upsample', 'x s', 'y', { mode: 'linear' }]],
    constants: [f('s', [4], [1, 1, 2, 2])],
  },
  Where: chosen([['Greater', 'a b', 'c']], [eight, other]),
};
