// Makes the canonical graph of an image classifier in ONNX: `image` [N, 3, height, width] for any number of photos.
import { GraftError } from '../base/errors.ts';
import { type DataType, sizeOf } from '../tensor/tensor.ts';
import { convertNodes, neededNodes } from './convert-graph.ts';
import type { Value } from './convert-node.ts';
import { BATCHES, type Both, type Draft, startDraft } from './draft.ts';
import type { Graph } from './graph.ts';
import { badOnnx, type ElementType, listNames, type OnnxModel, type OnnxValueInfo, shortName } from './model.ts';
import type { Shape } from './shapes.ts';
import { simplify } from './simplify.ts';

/** Side of the images where neither the file nor anybody says. */
const DEFAULT_SIZE = 224;
/** Largest side of an image. */
const MAX_SIZE = 4096;
const CHANNELS = 3;
/** Name of the one input. */
export const IMAGE = 'image';

/** A model as a graph. */
export interface ConvertedModel {
  /**
   * From `image`, float32 ['N', 3, 'H', 'W'], to the outputs of the file under their names, in its own opset's meaning. It is
   * right for images of `height` and `width`, and for any number of them. Constants have the names of the file.
   */
  readonly graph: Graph;
  readonly height: number;
  readonly width: number;
  /** The file's name and type of the input, of whose numbers `image` has the same. */
  readonly input: { readonly name: string; readonly dtype: ElementType; readonly layout: 'NCHW' | 'NHWC' };
  /** Who wrote the file, as it says; may be empty. */
  readonly producer: string;
}

/** Choices where the file leaves one. */
export interface ConvertOptions {
  /** Side of the square images, for files that take any; default 224. */
  readonly size?: number;
}

/**
 * Converts a model. Its outputs of floats become the graph's; others are left out.
 * @throws GraftError `unsupported-op` with the names of what is not imported; `bad-model` for a model that contradicts itself
 * or does not read one RGB image.
 */
export function convertOnnx(model: OnnxModel, options: ConvertOptions = {}): ConvertedModel {
  const outputs = floatOutputs(model);
  const info = imageInput(
    model,
    outputs.map(({ name }) => name),
  );
  const { layout, batch, height, width } = readImageShape(info, options.size);
  const draft = startDraft([...model.constants.values()].reduce((sum, tensor) => sum + sizeOf(tensor.shape), 0));
  const shapes = BATCHES.map(N => [N, CHANNELS, height, width]) as unknown as Both<Shape>;
  draft.reserve(IMAGE);
  draft.input(IMAGE, shapes);
  const name =
    layout === 'NHWC' ? draft.emit('Transpose', [IMAGE], { perm: [0, 2, 3, 1] }, `${IMAGE}/${layout}`) : IMAGE;
  // Whole numbers come as floats of the same value: casting them is nothing.
  const inputs = new Map<string, Value>([[info.name, { kind: 'computed', name, dtype: 'float32' }]]);
  const names = outputs.map(output => output.name);
  const values = convertNodes(model, draft, inputs, names, batch);
  const graph = finishGraph(
    draft,
    [{ name: IMAGE, dtype: 'float32', shape: ['N', CHANNELS, 'H', 'W'] }],
    names.map((output, i) => ({ name: output, value: values[i]! })),
    model.metadata,
  );
  for (const output of graph.outputs) {
    if (output.shape[0] === 'N') continue;
    throw badOnnx(
      `its output "${output.name}" has the shape [${output.shape.join(', ')}], which does not begin with the number of photos`,
      'Export the model with a batch of any size (dynamic_axes of dimension 0).',
    );
  }
  const input = { name: info.name, dtype: info.dtype ?? 'float32', layout };
  return { graph, height, width, input, producer: model.producer };
}

/** The outputs that are numbers; a class beside them, or a list of maps, is left out. */
function floatOutputs(model: OnnxModel): OnnxValueInfo[] {
  const found = model.outputs.filter(({ dtype }) => dtype?.includes('float'));
  if (found.length === 0) throw badOnnx('it has no output of floats', 'Name a model that gives scores or features.');
  return found;
}

/** The one input that the outputs need. */
function imageInput(model: OnnxModel, outputs: readonly string[]): OnnxValueInfo {
  const read = new Set([...neededNodes(model, outputs).flatMap(node => node.inputs), ...outputs]);
  const used = model.inputs.filter(({ name }) => read.has(name));
  const [info, ...more] = used;
  if (!info) throw badOnnx('its outputs do not depend on an input', 'Name a model that reads an image.');
  if (more.length === 0) return info;
  throw new GraftError(
    'bad-model',
    `The model has ${used.length} inputs (${listNames(used.map(({ name }) => name))}); one image is wanted.`,
    'Export it with one input, and everything else as constants.',
  );
}

interface ImageShape {
  readonly layout: 'NCHW' | 'NHWC';
  /** The batch that the file fixes. */
  readonly batch: number | undefined;
  readonly height: number;
  readonly width: number;
}

/** Tells where channels, height and width are. */
function readImageShape({ name, dtype, shape }: OnnxValueInfo, size: number | undefined): ImageShape {
  const wrong = (found: string) =>
    new GraftError(
      'bad-model',
      `The model's input "${shortName(name)}" ${found}; an RGB image, [photos, 3, height, width] or [photos, height, width, 3], is wanted.`,
      'Choose a model that reads colour photos.',
    );
  if (dtype === undefined || dtype === 'string' || dtype === 'bool') throw wrong('holds no numbers');
  const dims = shape ?? ['', CHANNELS, '', ''];
  if (dims.length !== 4) throw wrong(`has the shape [${dims.join(', ')}]`);
  const layout = dims[1] !== CHANNELS && dims[3] === CHANNELS ? 'NHWC' : 'NCHW';
  const [batch, channels, ...sides] = (layout === 'NHWC' ? [0, 3, 1, 2] : [0, 1, 2, 3]).map(axis => dims[axis]!) as [
    number | string,
    number | string,
    number | string,
    number | string,
  ];
  if (channels === 1) throw wrong('has one channel: it reads greyscale images');
  if (typeof channels === 'number' && channels !== CHANNELS) throw wrong(`has ${channels} channels`);
  // Images are square: the side that is known counts for the other.
  const free = sides.find(side => typeof side === 'number') ?? size ?? DEFAULT_SIZE;
  const [height, width] = sides.map(side => (typeof side === 'number' ? side : free)) as [number, number];
  const other = sides.find(side => typeof side === 'number' && size !== undefined && side !== size);
  if (other !== undefined) {
    throw new GraftError(
      'usage',
      `The model reads images of ${height} x ${width}, and ${size} was asked for.`,
      `Leave the size out, or export the model for images of ${size} x ${size}.`,
    );
  }
  if (height > MAX_SIZE || width > MAX_SIZE)
    throw wrong(`has the shape [${dims.join(', ')}], more than ${MAX_SIZE} a side`);
  return { layout, batch: typeof batch === 'number' ? batch : undefined, height, width };
}

/** Ends a draft: gives its outputs their names, and leaves out what they do not need. */
export function finishGraph(
  draft: Draft,
  inputs: Graph['inputs'],
  outputs: readonly { readonly name: string; readonly value: Value }[],
  metadata: Graph['metadata'],
): Graph {
  const infos = outputs.map(({ name, value }) => {
    const source = value.kind === 'computed' ? value.name : draft.constant(value.read(0), value.name);
    const dtype = (value.kind === 'computed' ? value.dtype : value.read(0).dtype) as DataType;
    const [a, b] = draft.shapesOf(source);
    const shape = a.map((dim, axis) => (dim === b[axis] ? dim : axis === 0 && dim === BATCHES[0] ? 'N' : `N${axis}`));
    if (source === name && draft.makerOf(source)) return { name, dtype, shape };
    draft.emit('Identity', [source], {}, name);
    if (draft.renameLast(name, name) !== name) throw badOnnx(`its output "${name}" has the name of another value`);
    return { name, dtype, shape };
  });
  const { nodes, constants } = draft;
  const graph: Graph = { name: 'model', inputs, outputs: infos, constants, nodes, metadata };
  return simplify(graph, value => draft.shapesOf(value)[0]);
}
