// What the networks of the zoo are made of: convolutions with BatchNormalization and an activation, squeeze-and-excitation,
// max-pooling and residual additions, each under the names of its parameters.
import type { GraphBuilder } from '../../onnx/builder.ts';
import type { Pads } from '../../onnx/ops.ts';
import type { Tensor } from '../../tensor/tensor.ts';

/** Who names the parameters: timm, or torchvision. */
export type Naming = 'timm' | 'torchvision';

/** What a layer, or a parameter, is called. torchvision's name is absent where it does not have the network. */
export interface Name {
  readonly timm: string;
  readonly torchvision?: string;
}

/** The name that graft uses: torchvision's where it has the network. */
export const canonicalName = ({ timm, torchvision }: Name): string => torchvision ?? timm;

/**
 * `symmetric`: (kernel - 1) / 2 on every side, as PyTorch has it. `same`: TensorFlow's, which depends on the size of the
 * picture and puts the odd one below and on the right.
 */
export type Padding = 'symmetric' | 'same';

/** `Relu6` is min(max(x, 0), 6), `Silu` is x * sigmoid(x). */
export type Activation = 'Relu' | 'Relu6' | 'HardSwish' | 'Silu';

/** A value of the network: [N, channels, side, side]. */
export interface Feature {
  readonly value: string;
  readonly channels: number;
  readonly side: number;
}

/** What all layers of a network have in common. */
export interface LayerSettings {
  /** Added to the variance by every BatchNormalization. */
  readonly epsilon: number;
  readonly padding: Padding;
  /** The parameter of that name, which has to have that shape. */
  readonly parameter: (name: Name, shape: readonly number[]) => Tensor<'float32'>;
}

/** A convolution without bias, the BatchNormalization behind it, and an activation. */
export interface ConvLayer {
  readonly conv: Name;
  readonly norm: Name;
  readonly out: number;
  readonly kernel: number;
  /** Default 1. */
  readonly stride?: number;
  /** `depthwise`: every channel for itself; `out` is the number of them. Default: dense. */
  readonly kind?: 'depthwise';
  /** Default: none. */
  readonly activation?: Activation;
}

/** Squeeze-and-excitation: x * gate(expand(activation(reduce(mean(x))))), with 1 x 1 convolutions that have biases. */
export interface SqueezeExcite {
  /** Name that the values get. */
  readonly at: string;
  readonly reduce: Name;
  readonly expand: Name;
  /** Channels inside. */
  readonly squeeze: number;
  readonly activation: Activation;
  readonly gate: 'HardSigmoid' | 'Sigmoid';
}

/** Adds layers to a graph; each method appends nodes and returns what they give. */
export interface Layers {
  convolve(input: Feature, layer: ConvLayer): Feature;
  squeezeExcite(input: Feature, layer: SqueezeExcite): Feature;
  /** Values are called `name.activation`. */
  activate(input: Feature, name: string, activation: Activation): Feature;
  /** 3 x 3, stride 2. */
  maxPool(input: Feature, name: string): Feature;
  add(name: string, a: Feature, b: Feature): Feature;
}

/** Layers that are appended to `graph`. */
export function startLayers(graph: GraphBuilder, { epsilon, padding, parameter }: LayerSettings): Layers {
  const constant = (layer: Name, part: string, shape: readonly number[]): string => {
    const timm = `${layer.timm}.${part}`;
    const name = layer.torchvision === undefined ? { timm } : { timm, torchvision: `${layer.torchvision}.${part}` };
    return graph.constant(canonicalName(name), parameter(name, shape));
  };

  let bounds: readonly [string, string] | undefined;
  const activate = (input: Feature, name: string, activation: Activation): Feature => {
    const [from, to] = [input.value, `${name}.activation`];
    if (activation === 'Relu' || activation === 'HardSwish') {
      return { ...input, value: graph.node(activation, to, [from], {}) };
    }
    if (activation === 'Relu6') {
      bounds ??= [graph.scalar('relu6.lowest', 0), graph.scalar('relu6.highest', 6)];
      return { ...input, value: graph.node('Clip', to, [from, ...bounds], {}) };
    }
    const gate = graph.node('Sigmoid', `${name}.sigmoid`, [from], {});
    return { ...input, value: graph.node('Mul', to, [from, gate], {}) };
  };

  const window = (side: number, kernel: number, stride: number) => ({
    kernel_shape: [kernel, kernel] as const,
    strides: [stride, stride] as const,
    pads: padsOf(padding, side, kernel, stride),
    dilations: [1, 1] as const,
  });

  return {
    convolve(input, { conv, norm, out, kernel, stride = 1, kind, activation }) {
      const group = kind === 'depthwise' ? out : 1;
      const name = canonicalName(conv);
      const weight = constant(conv, 'weight', [out, input.channels / group, kernel, kernel]);
      const attributes = { ...window(input.side, kernel, stride), group };
      const convolved = graph.node('Conv', name, [input.value, weight], attributes);
      const parts = ['weight', 'bias', 'running_mean', 'running_var'].map(part => constant(norm, part, [out]));
      const value = graph.node('BatchNormalization', canonicalName(norm), [convolved, ...parts], { epsilon });
      const output = { value, channels: out, side: Math.ceil(input.side / stride) };
      return activation ? activate(output, name, activation) : output;
    },
    squeezeExcite(input, { at, reduce, expand, squeeze, activation, gate }) {
      const dense = (from: Feature, layer: Name, out: number): Feature => {
        const weight = constant(layer, 'weight', [out, from.channels, 1, 1]);
        const parts = [from.value, weight, constant(layer, 'bias', [out])];
        const value = graph.node('Conv', canonicalName(layer), parts, { ...window(1, 1, 1), group: 1 });
        return { value, channels: out, side: 1 };
      };
      const mean = { ...input, value: graph.node('GlobalAveragePool', `${at}.mean`, [input.value], {}), side: 1 };
      const squeezed = activate(dense(mean, reduce, squeeze), canonicalName(reduce), activation);
      const { value } = dense(squeezed, expand, input.channels);
      const open =
        gate === 'Sigmoid'
          ? graph.node('Sigmoid', `${at}.gate`, [value], {})
          : graph.node('HardSigmoid', `${at}.gate`, [value], { alpha: 1 / 6, beta: 0.5 });
      return { ...input, value: graph.node('Mul', `${at}.scaled`, [input.value, open], {}) };
    },
    activate,
    maxPool(input, name) {
      const value = graph.node('MaxPool', name, [input.value], window(input.side, 3, 2));
      return { ...input, value, side: Math.ceil(input.side / 2) };
    },
    add: (name, a, b) => ({ ...a, value: graph.node('Add', name, [a.value, b.value], {}) }),
  };
}

function padsOf(padding: Padding, side: number, kernel: number, stride: number): Pads {
  const total = padding === 'same' ? Math.max((Math.ceil(side / stride) - 1) * stride + kernel - side, 0) : kernel - 1;
  const before = Math.floor(total / 2);
  return [before, before, total - before, total - before];
}
