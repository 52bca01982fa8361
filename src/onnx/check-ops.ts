// Says before anything runs which nodes of a graph cannot be trained and which cannot be exported, all at once.
import { GraftError } from '../base/errors.ts';
import type { Graph } from './graph.ts';

/** Names of ops, from the tables of gradients and of lowerings. */
export interface OpSupport {
  /** Those through which a gradient flows; undefined where nothing is trained. */
  readonly trainable?: ReadonlySet<string>;
  /** Those that have a place in a .tflite file; undefined where none is written. */
  readonly exportable?: ReadonlySet<string>;
}

/** Most nodes that are listed by name for one op. */
const MAX_LISTED = 4;

/** @throws GraftError `unsupported-op` that names every op, with its nodes. */
export function checkOps(graph: Graph, { trainable, exportable }: OpSupport): void {
  const untrained = trainable ? listNodes(graph, trainable) : '';
  const unwritten = exportable ? listNodes(graph, exportable) : '';
  const parts = [
    ...(untrained ? [`cannot be trained: ${untrained}`] : []),
    ...(unwritten ? [`cannot be exported to TFLite: ${unwritten}`] : []),
  ];
  if (parts.length === 0) return;
  throw new GraftError(
    'unsupported-op',
    `The model has operations that ${parts.join('; and that ')}.`,
    'Choose a backbone without them, or export the model without its last layers.',
  );
}

/** The nodes whose ops are not among the known ones, by op; '' without any. */
function listNodes(graph: Graph, known: ReadonlySet<string>): string {
  const found = new Map<string, string[]>();
  for (const { op, name } of graph.nodes) if (!known.has(op)) found.set(op, [...(found.get(op) ?? []), `"${name}"`]);
  return [...found]
    .map(([op, names]) => {
      const more = names.length > MAX_LISTED ? ` and ${names.length - MAX_LISTED} more` : '';
      return `${op} in ${names.slice(0, MAX_LISTED).join(', ')}${more}`;
    })
    .join(', ');
}
