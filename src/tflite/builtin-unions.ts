// Which table of options a type id stands for, in the two unions that operators keep them in.
import type { builtinOptions } from './builtin-options.ts';

type OptionsName = keyof typeof builtinOptions;

/** Type ids, from 1, of the union BuiltinOptions (`Operator.builtin_options`). */
export const builtinOptionsUnion: readonly OptionsName[] = [
  'Conv2DOptions', // 1
  'DepthwiseConv2DOptions',
  'ConcatEmbeddingsOptions',
  'LSHProjectionOptions',
  'Pool2DOptions',
  'SVDFOptions',
  'RNNOptions',
  'FullyConnectedOptions',
  'SoftmaxOptions',
  'ConcatenationOptions', // 10
  'ActivationOptions', // Add
  'ActivationOptions', // L2Norm
  'LocalResponseNormalizationOptions',
  'LSTMOptions',
  'ResizeBilinearOptions',
  'CallOptions',
  'ReshapeOptions',
  'SkipGramOptions',
  'BlockSizeOptions', // SpaceToDepth
  'EmbeddingLookupSparseOptions', // 20
  'ActivationOptions', // Mul
  'EmptyOptions', // Pad
  'GatherOptions',
  'EmptyOptions', // BatchToSpaceND
  'EmptyOptions', // SpaceToBatchND
  'EmptyOptions', // Transpose
  'ReducerOptions',
  'ActivationOptions', // Sub
  'ActivationOptions', // Div
  'SqueezeOptions', // 30
  'SequenceRNNOptions',
  'StridedSliceOptions',
  'EmptyOptions', // Exp
  'EmptyOptions', // TopKV2
  'SplitOptions',
  'EmptyOptions', // LogSoftmax
  'CastOptions',
  'EmptyOptions', // Dequantize
  'EmptyOptions', // MaximumMinimum
  'OutputTypeOptions', // 40, ArgMax
  'EmptyOptions', // Less
  'EmptyOptions', // Neg
  'EmptyOptions', // PadV2
  'EmptyOptions', // Greater
  'EmptyOptions', // GreaterEqual
  'EmptyOptions', // LessEqual
  'EmptyOptions', // Select
  'EmptyOptions', // Slice
  'TransposeConvOptions',
  'SparseToDenseOptions', // 50
  'EmptyOptions', // Tile
  'EmptyOptions', // ExpandDims
  'EmptyOptions', // Equal
  'EmptyOptions', // NotEqual
  'ShapeOptions',
  'EmptyOptions', // Pow
  'OutputTypeOptions', // ArgMin
  'FakeQuantOptions',
  'PackOptions',
  'EmptyOptions', // 60, LogicalOr
  'OneHotOptions',
  'EmptyOptions', // LogicalAnd
  'EmptyOptions', // LogicalNot
  'UnpackOptions',
  'EmptyOptions', // FloorDiv
  'EmptyOptions', // Square
  'EmptyOptions', // ZerosLike
  'EmptyOptions', // Fill
  'BidirectionalSequenceLSTMOptions',
  'BidirectionalSequenceRNNOptions', // 70
  'UnidirectionalSequenceLSTMOptions',
  'EmptyOptions', // FloorMod
  'EmptyOptions', // Range
  'ResizeNearestNeighborOptions',
  'LeakyReluOptions',
  'EmptyOptions', // SquaredDifference
  'MirrorPadOptions',
  'EmptyOptions', // Abs
  'SplitOptions', // SplitV
  'UniqueOptions', // 80
  'EmptyOptions', // ReverseV2
  'EmptyOptions', // AddN
  'EmptyOptions', // GatherNd
  'EmptyOptions', // Cos
  'EmptyOptions', // Where
  'EmptyOptions', // Rank
  'ReverseSequenceOptions',
  'EmptyOptions', // MatrixDiag
  'EmptyOptions', // Quantize
  'EmptyOptions', // 90, MatrixSetDiag
  'EmptyOptions', // HardSwish
  'IfOptions',
  'WhileOptions',
  'BlockSizeOptions', // DepthToSpace
  'EmptyOptions', // NonMaxSuppressionV4
  'EmptyOptions', // NonMaxSuppressionV5
  'EmptyOptions', // ScatterNd
  'EmptyOptions', // SelectV2
  'EmptyOptions', // Densify
  'EmptyOptions', // 100, SegmentSum
  'BatchMatMulOptions',
  'CumsumOptions',
  'CallOnceOptions',
  'EmptyOptions', // BroadcastTo
  'EmptyOptions', // Rfft2d
  'Conv3DOptions',
  'HashtableOptions',
  'EmptyOptions', // HashtableFind
  'EmptyOptions', // HashtableImport
  'EmptyOptions', // 110, HashtableSize
  'VarHandleOptions',
  'EmptyOptions', // ReadVariable
  'EmptyOptions', // AssignVariable
  'RandomOptions',
  'BucketizeOptions',
  'GeluOptions',
  'EmptyOptions', // DynamicUpdateSlice
  'EmptyOptions', // UnsortedSegmentProd
  'EmptyOptions', // UnsortedSegmentMax
  'EmptyOptions', // 120, UnsortedSegmentMin
  'EmptyOptions', // UnsortedSegmentSum
  'EmptyOptions', // ATan2
  'EmptyOptions', // Sign
  'EmptyOptions', // Bitcast
  'EmptyOptions', // BitwiseXor
  'EmptyOptions', // 126, RightShift
];

/** Type ids, from 1, of the union BuiltinOptions2 (`Operator.builtin_options_2`). */
export const builtinOptions2Union: readonly OptionsName[] = [
  'StablehloConcatenateOptions', // 1
  'StablehloBroadcastInDimOptions',
  'StablehloSliceOptions',
  'StablehloConvolutionOptions',
  'StablehloCustomCallOptions',
  'StablehloReduceOptions',
  'StablehloScatterOptions',
  'StablehloCompareOptions',
  'StablehloDynamicSliceOptions',
  'StablehloPadOptions', // 10
  'StablehloIotaOptions',
  'StablehloDotGeneralOptions',
  'StablehloReduceWindowOptions',
  'StablehloSortOptions',
  'WhileOptions', // StablehloWhile
  'StablehloGatherOptions',
  'StablehloTransposeOptions',
  'EmptyOptions', // Dilate
  'StablehloRngBitGeneratorOptions',
  'ReduceWindowOptions', // 20
  'StableHLOCompositeOptions',
  'EmptyOptions', // StablehloShiftLeft
  'StablehloCaseOptions', // 23
];
