// Builds a Graph one node at a time; each call names the node and returns the name of its first output.
import { float32, type Tensor } from '../tensor/tensor.ts';
import type { Graph, Node, ValueInfo } from './graph.ts';
import type { OpAttributes, SupportedOp } from './ops.ts';

/** A graph under construction. */
export interface GraphBuilder {
  /** Declares an input and returns its name. */
  input(info: ValueInfo): string;
  /** Stores a constant and returns its name. Throws when the name is taken by another tensor. */
  constant(name: string, tensor: Tensor): string;
  /** Stores a float32 scalar constant. */
  scalar(name: string, value: number): string;
  /** Appends a node with one output, which carries the node's name, or with more names in `extraOutputs` beside it. */
  node<O extends SupportedOp>(
    op: O,
    name: string,
    inputs: readonly string[],
    attributes: OpAttributes[O],
    extraOutputs?: readonly string[],
  ): string;
  /** Ends the graph. */
  build(outputs: readonly ValueInfo[], metadata?: Readonly<Record<string, string>>): Graph;
}

/** Starts an empty graph called `name`. */
export function graphBuilder(name: string): GraphBuilder {
  const inputs: ValueInfo[] = [];
  const constants = new Map<string, Tensor>();
  const nodes: Node[] = [];
  const made = new Set<string>();
  const define = (value: string) => {
    if (made.has(value)) throw new Error(`Two values of the graph ${name} are called ${value}.`);
    made.add(value);
    return value;
  };
  const constant = (value: string, tensor: Tensor) => {
    constants.set(define(value), tensor);
    return value;
  };
  return {
    input(info) {
      inputs.push(info);
      return define(info.name);
    },
    constant,
    scalar: (value, number) => constant(value, float32([], [number])),
    node(op, value, from, attributes, extraOutputs = []) {
      for (const source of from) {
        if (source !== '' && !made.has(source))
          throw new Error(`Node ${value} (${op}) reads ${source}, which nothing makes.`);
      }
      const outputs = [value, ...extraOutputs].map(define);
      nodes.push({ op, name: value, inputs: from, outputs, attributes } as unknown as Node);
      return value;
    },
    build: (outputs, metadata = {}) => ({ name, inputs, outputs, constants, nodes, metadata }),
  };
}
