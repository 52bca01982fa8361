// The oldest runtime that runs any model, as far as the tables of releases tell.
import { builtinName, compareReleases, firstRelease } from './builtin-operators.ts';
import { operatorName } from './costs.ts';
import { subgraphsOf, type TfliteModel, type TfliteOperator } from './model.ts';
import { operators } from './schema.ts';

/** An operator in one version, and how often it is there. */
export interface OperatorCount {
  readonly name: string;
  readonly version: number;
  readonly count: number;
  /** It is no part of the runtime: the program that runs the model has to bring it. */
  readonly custom: boolean;
  /** The first runtime release that has it; null when that is not known. */
  readonly release: string | null;
}

/** The operators of all subgraphs, most frequent first. */
export function countOperators(model: TfliteModel): OperatorCount[] {
  const counts = new Map<string, { operator: TfliteOperator; count: number }>();
  for (const operator of subgraphsOf(model).flatMap(graph => graph.operators)) {
    const key = `${operatorName(operator)} ${codeOf(operator)} ${operator.version}`;
    const entry = counts.get(key) ?? { operator, count: 0 };
    entry.count++;
    counts.set(key, entry);
  }
  return [...counts.values()]
    .map(({ operator, count }) => ({
      name: operatorName(operator),
      version: operator.version,
      count,
      custom: isCustom(operator),
      release: isCustom(operator) ? null : (firstRelease(codeOf(operator), operator.version) ?? null),
    }))
    .sort((a, b) => b.count - a.count || (a.name < b.name ? -1 : 1));
}

/** The newest of the operators' first releases; null when one of them is not known. */
export function oldestRelease(counts: readonly OperatorCount[]): string | null {
  let oldest = '1.5.0';
  for (const { release } of counts) {
    if (release === null) return null;
    if (compareReleases(release, oldest) > 0) oldest = release;
  }
  return oldest;
}

const codeOf = (operator: TfliteOperator): number =>
  operator.op === 'OTHER' ? operator.code : operators[operator.op].code;

const isCustom = (operator: TfliteOperator): boolean => builtinName(codeOf(operator)) === 'CUSTOM';
