// A TfliteModel that is being changed: new tensors and operators are appended, what nothing needs is dropped at the end.
import type { KnownOperator, TfliteModel, TfliteTensor } from './model.ts';
import type { OperatorName, OperatorOptions } from './schema.ts';

/** A model under change. `tensors` may be replaced in place; indexes stay valid until `finish`. */
export interface ModelDraft {
  readonly tensors: TfliteTensor[];
  /** Empty at first. */
  readonly operators: KnownOperator[];
  /** Returns the index of the new tensor. */
  addTensor(tensor: TfliteTensor): number;
  /** Appends a float32 constant. */
  addFloats(name: string, shape: readonly number[], values: ArrayLike<number>): number;
  /** Appends an operator that makes `output`. */
  emit<O extends OperatorName>(
    op: O,
    inputs: readonly number[],
    output: number,
    options: OperatorOptions<O>,
    version?: number,
  ): void;
  /**
   * The model with the draft's operators and only the tensors that they use, in the order of the draft: programs that sort
   * outputs by tensor index still find them in their order. Other fields are as in the model that the draft was started
   * from, unless `changes` replaces them (with draft indexes).
   */
  finish(changes?: Partial<Pick<TfliteModel, 'inputs' | 'outputs'>>): TfliteModel;
}

/** Starts a draft with the tensors of `model` and none of its operators. */
export function startDraft(model: TfliteModel): ModelDraft {
  const tensors = [...model.tensors];
  const operators: KnownOperator[] = [];
  const addTensor = (tensor: TfliteTensor) => tensors.push(tensor) - 1;
  return {
    tensors,
    operators,
    addTensor,
    addFloats: (name, shape, values) =>
      addTensor({ name, type: 'FLOAT32', shape, data: new Uint8Array(Float32Array.from(values).buffer) }),
    emit(op, inputs, output, options, version = 1) {
      operators.push({ op, version, inputs, outputs: [output], options } as unknown as KnownOperator);
    },
    finish(changes = {}) {
      const { inputs, outputs } = { ...model, ...changes };
      const used = new Set([...inputs, ...outputs, ...operators.flatMap(step => [...step.inputs, ...step.outputs])]);
      const kept = [...used].filter(index => index >= 0).sort((a, b) => a - b);
      const places = new Map(kept.map((index, place) => [index, place]));
      const place = (index: number): number => (index < 0 ? index : places.get(index)!);
      const placed = {
        inputs: inputs.map(place),
        operators: operators.map(step => ({
          ...step,
          inputs: step.inputs.map(place),
          outputs: step.outputs.map(place),
        })),
        outputs: outputs.map(place),
      };
      const { signature } = model;
      const rename = (list: readonly { name: string; tensor: number }[], from: readonly number[], to: number[]) =>
        list.map((entry, i) => ({ name: entry.name, tensor: to[from.indexOf(entry.tensor)] ?? to[i]! }));
      return {
        ...model,
        tensors: kept.map(index => tensors[index]!),
        ...placed,
        ...(signature && {
          signature: {
            ...signature,
            inputs: rename(signature.inputs, model.inputs, placed.inputs),
            outputs: rename(signature.outputs, model.outputs, placed.outputs),
          },
        }),
      } as TfliteModel;
    },
  };
}

/** The values of a float32 constant. */
export function floatsOf(tensor: TfliteTensor): Float32Array {
  if (tensor.type !== 'FLOAT32' || !tensor.data) throw new Error(`${tensor.name} is no float32 constant.`);
  return new Float32Array(tensor.data.slice().buffer);
}
