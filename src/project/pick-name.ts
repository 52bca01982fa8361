// Settings that are one of a few words.
import { GraftError } from '../base/errors.ts';

/** `name`, if it is one of `names`. Throws GraftError `usage` that lists them. */
export function pickName<N extends string>(setting: string, name: N, names: readonly N[]): N {
  if (names.includes(name)) return name;
  throw new GraftError('usage', `The setting ${setting} is "${name}".`, `It has to be one of: ${names.join(', ')}.`);
}
