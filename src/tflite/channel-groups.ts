// Which channels of a model's values must be divided by the same factor, so that operators without weights between them
// compute what they did: the channels of values that are added, pooled, joined, sliced or shuffled.
import { isGate, isHomogeneous, isScalar, keepsChannels, takesChannelFactors } from './linearity.ts';
import type { KnownOperator, TfliteModel } from './model.ts';
import { Activation } from './schema.ts';

/** The channels of every value, in groups. */
export interface ChannelGroups {
  /** How many channels a tensor has: its last axis, or several last ones where channels are split. */
  count(tensor: number): number;
  /** Group of a channel. */
  group(tensor: number, channel: number): number;
  /** Whether the channels of a group have to keep their values. */
  isFixed(group: number): boolean;
  /** Tensors with the same number share groups or, where they are joined, a scale: directly or by way of others. */
  family(tensor: number): number;
  /** The computed tensors, those last whose factors are only what others have: rows that are joined. */
  readonly ordered: readonly number[];
  /** Tensors behind ReLU6, which a factor may not clamp at less than they reach. */
  readonly clamped: ReadonlySet<number>;
}

/** Groups the channels of a model in float32 without HARD_SWISH. */
export function groupChannels(model: TfliteModel): ChannelGroups {
  const draft = startGroups(model);
  draft.fix(...model.inputs, ...model.outputs);
  for (const operator of model.operators as readonly KnownOperator[]) groupOperator(model, operator, draft);
  return draft;
}

interface GroupsDraft extends ChannelGroups {
  readonly clamped: Set<number>;
  readonly followers: Set<number>;
  /** Every channel of the tensors keeps its values. */
  fix(...tensors: readonly number[]): void;
  /** Channel `from(c)` of `source` goes with channel c of `target`. Default: the same one; both are fixed where they differ in number. */
  join(source: number, target: number, from?: (channel: number) => number, isFamily?: boolean): void;
  /** Whether all channels of a tensor are fixed as far as is known. */
  isAllFixed(tensor: number): boolean;
  setCount(tensor: number, count: number): void;
}

function startGroups(model: TfliteModel): GroupsDraft {
  const counts = model.tensors.map(({ shape }) => shape.at(-1) ?? 1);
  const starts: number[] = [];
  let total = 0;
  model.tensors.forEach((tensor, index) => {
    starts[index] = total;
    // Channels may turn out to lie along several axes.
    total += tensor.data ? 0 : tensor.shape.reduce((size, dim, axis) => (axis > 0 ? size * dim : size), 1);
  });
  const parent = new Map<number, number>();
  const find = (node: number): number => {
    let root = node;
    for (let next = parent.get(root); next !== undefined; next = parent.get(root)) root = next;
    if (root !== node) parent.set(node, root);
    return root;
  };
  const families = model.tensors.map((_, index) => index);
  const findFamily = (tensor: number): number => {
    let root = tensor;
    while (families[root] !== root) root = families[root]!;
    return root;
  };
  const fixed = new Set<number>();
  const clamped = new Set<number>();
  const followers = new Set<number>();
  const group = (tensor: number, channel: number) => find(starts[tensor]! + channel);
  const isFixed = (node: number) => fixed.has(find(node));
  const draft: GroupsDraft = {
    clamped,
    followers,
    get ordered() {
      const computed = model.tensors.flatMap(({ data }, index) => (data ? [] : [index]));
      return [...computed.filter(index => !followers.has(index)), ...followers];
    },
    count: tensor => counts[tensor]!,
    group,
    isFixed,
    family: findFamily,
    fix(...tensors) {
      for (const tensor of tensors) {
        if (tensor < 0 || model.tensors[tensor]!.data) continue;
        for (let channel = 0; channel < counts[tensor]!; channel++) fixed.add(group(tensor, channel));
      }
    },
    join(source, target, from, isFamily = true) {
      if (!from && counts[source] !== counts[target]) {
        draft.fix(source, target);
        return;
      }
      if (isFamily) families[findFamily(source)] = findFamily(target);
      for (let channel = 0; channel < counts[target]!; channel++) {
        const a = group(source, from ? from(channel) : channel);
        const b = group(target, channel);
        if (a === b) continue;
        if (fixed.has(a)) fixed.add(b);
        parent.set(a, b);
      }
    },
    isAllFixed: tensor => Array.from({ length: counts[tensor]! }, (_, c) => group(tensor, c)).every(isFixed),
    setCount(tensor, count) {
      counts[tensor] = count;
    },
  };
  return draft;
}

/** Padding that a maximum does not see: no factor changes that. */
const UNSEEN = -1e30;

function groupOperator(model: TfliteModel, operator: KnownOperator, draft: GroupsDraft): void {
  const { join, fix } = draft;
  const [first] = operator.inputs as [number];
  const output = operator.outputs[0]!;
  const computed = operator.inputs.filter(index => index >= 0 && !model.tensors[index]!.data);
  const keepAll = () => fix(...computed, ...operator.outputs);
  const activation = 'fused_activation_function' in operator.options ? operator.options.fused_activation_function : 0;
  const isClamped = operator.op === 'RELU6' || activation === Activation.RELU6;
  const isFree = isHomogeneous(activation) || isClamped;
  if (isClamped) draft.clamped.add(output);
  switch (operator.op) {
    case 'CONV_2D':
    case 'DEPTHWISE_CONV_2D':
    case 'FULLY_CONNECTED':
      if (!isFree) fix(output);
      if (!takesChannelFactors(model, operator)) fix(first);
      return;
    case 'PAD':
    case 'AVERAGE_POOL_2D':
    case 'MAX_POOL_2D':
    case 'RELU':
    case 'RELU6':
    case 'RESIZE_BILINEAR':
    case 'RESIZE_NEAREST_NEIGHBOR':
      join(first, output);
      return;
    case 'PADV2':
      if (floatsIn(model, operator.inputs[2]!)[0]! <= UNSEEN) join(first, output);
      else keepAll();
      return;
    case 'MEAN':
      if (keepsChannels(model, operator)) join(first, output);
      else keepAll();
      return;
    case 'ADD':
    case 'SUB':
      if (isGate(model, operator)) fix(output);
      else if (computed.length === 2 && isFree) for (const input of computed) join(input, output);
      else keepAll();
      return;
    case 'MUL':
      if (!isFree || isClamped) keepAll();
      else if (computed.length === 1) {
        if (operator.inputs.some(index => isScalar(model, index))) join(first, output);
        else keepAll();
      } else groupProduct(model, computed as [number, number], output, draft);
      return;
    case 'LOGISTIC': {
      const readers = model.operators.filter(({ inputs }) => inputs.includes(first));
      if (readers.length === 1 || model.tensors[first]!.shape.length !== 4) fix(first);
      fix(output);
      return;
    }
    case 'CONCATENATION': {
      const isAlongChannels = operator.options.axis === model.tensors[output]!.shape.length - 1;
      let start = 0;
      for (const input of operator.inputs) {
        const offset = start;
        if (isAlongChannels) start += draft.count(input);
        if (model.tensors[input]!.data) keepAll();
        else if (!isAlongChannels) join(input, output);
        else joinPart(model, draft, input, output, offset);
      }
      return;
    }
    case 'STRIDED_SLICE': {
      const [begin, , step] = operator.inputs.slice(1).map(index => intsIn(model, index).at(-1)!);
      if (draft.count(first) === model.tensors[first]!.shape.at(-1)) join(first, output, c => begin! + c * step!);
      else keepAll();
      return;
    }
    case 'RESHAPE':
      groupReshape(model, first, output, draft);
      return;
    case 'TRANSPOSE':
      groupTranspose(model, operator, draft);
      return;
    default:
      keepAll();
  }
}

/** The product of a value and a gate, which has no factors, has those of the value. */
function groupProduct(model: TfliteModel, [a, b]: [number, number], output: number, draft: GroupsDraft): void {
  const size = (tensor: number) => model.tensors[tensor]!.shape.reduce((product, dim) => product * dim, 1);
  const isGateOf = (gate: number, value: number) => draft.isAllFixed(gate) || size(gate) < size(value);
  if (a === b || !(isGateOf(a, b) || isGateOf(b, a))) {
    draft.fix(a, b, output);
    return;
  }
  const isFirstGate = draft.isAllFixed(a) || (!draft.isAllFixed(b) && size(a) < size(b));
  const [gate, value] = isFirstGate ? [a, b] : [b, a];
  draft.fix(gate);
  draft.join(value, output);
}

/** Channels of a joined value from `offset` on are those of the part. */
function joinPart(model: TfliteModel, draft: GroupsDraft, part: number, output: number, offset: number): void {
  const { shape } = model.tensors[output]!;
  if (draft.count(part) === model.tensors[part]!.shape.at(-1)) {
    // Rows side by side are for a head, which has no scale that they would share.
    const isImage = shape.length > 2;
    draft.join(output, part, channel => channel + offset, isImage);
    if (!isImage) draft.followers.add(output);
  } else draft.fix(part, output);
}

/** Channels stay the last ones where the last axes of the new shape hold as many. */
function groupReshape(model: TfliteModel, input: number, output: number, draft: GroupsDraft): void {
  const count = draft.count(input);
  let trailing = 1;
  for (const dim of model.tensors[output]!.shape.toReversed()) {
    if (trailing === count) break;
    trailing *= dim;
  }
  if (trailing === count) draft.setCount(output, count);
  else draft.fix(output);
  if (trailing === count) draft.join(input, output);
  else draft.fix(input);
}

/** Axes of channels among themselves, as in a channel shuffle, or axes of positions. */
function groupTranspose(model: TfliteModel, { inputs, outputs }: KnownOperator, draft: GroupsDraft): void {
  const [input, output] = [inputs[0]!, outputs[0]!];
  const { shape } = model.tensors[input]!;
  const perm = intsIn(model, inputs[1]!);
  const count = draft.count(input);
  let axis = shape.length;
  for (let trailing = 1; trailing < count; ) trailing *= shape[--axis]!;
  if (perm.slice(axis).some(from => from < axis)) {
    draft.fix(input, output);
    return;
  }
  draft.setCount(output, count);
  draft.join(input, output, channel => {
    let rest = channel;
    let place = 0;
    for (const from of perm.slice(axis).toReversed()) {
      const stride = shape.slice(from + 1).reduce((product, dim) => product * dim, 1);
      place += (rest % shape[from]!) * stride;
      rest = Math.floor(rest / shape[from]!);
    }
    return place;
  });
}

const intsIn = (model: TfliteModel, tensor: number): Int32Array =>
  new Int32Array(model.tensors[tensor]!.data!.slice().buffer);
const floatsIn = (model: TfliteModel, tensor: number): Float32Array =>
  new Float32Array(model.tensors[tensor]!.data!.slice().buffer);
