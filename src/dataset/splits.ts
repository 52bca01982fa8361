// The names of splits, and the order of class names: the same rules as Hugging Face's ImageFolder.
// https://huggingface.co/docs/datasets/image_dataset and datasets/data_files.py (keywords per split).

/** What a photo is for: learning, choosing settings while learning, or the final exam. */
export type Split = 'train' | 'validation' | 'test';

/** All splits, in the order in which people name them. */
export const splits: readonly Split[] = ['train', 'validation', 'test'];

/** Folder names that mean a split, in lower case. */
export const splitFolderNames: Readonly<Record<Split, readonly string[]>> = {
  train: ['train', 'training'],
  validation: ['validation', 'valid', 'val', 'dev'],
  test: ['test', 'testing', 'eval', 'evaluation'],
};

/**
 * The split that a folder name means, or null for any other name. Upper and lower case are the same. ImageFolder takes
 * lower case only, and also names that merely contain a keyword (`dev_board`): here the whole name has to be one.
 */
export function splitOfFolder(name: string): Split | null {
  const lower = name.toLowerCase();
  return splits.find(split => splitFolderNames[split].includes(lower)) ?? null;
}

/**
 * Compares by Unicode code points, as Python sorts strings: 'Z' < 'a', '10' < '2'. JavaScript's own order compares UTF-16
 * units, which puts characters beyond U+FFFF before U+E000..U+FFFF; the order of classes is part of a model's format.
 */
export function compareCodePoints(a: string, b: string): number {
  for (let i = 0; i < a.length && i < b.length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    const surrogates = Number(isSurrogate(x)) - Number(isSurrogate(y));
    return surrogates === 0 ? x - y : surrogates;
  }
  return a.length - b.length;
}

/** Half of a character beyond U+FFFF; such a character comes after every character that is one unit. */
function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdfff;
}

/** Why `name` cannot be a class name, as the end of a sentence, or null when it can. */
export function badClassName(name: string): string | null {
  if (name === '') return 'it is empty';
  if (/[\p{Cc}\u2028\u2029]/u.test(name)) {
    return 'it holds a line break or another control character, and labels.txt has one class name per line';
  }
  if (/\p{Cs}/u.test(name)) return 'it is no valid Unicode text';
  if (name.length > MAX_NAME) return `it is longer than ${MAX_NAME} characters`;
  return null;
}

/** Longest class name: file systems stop at 255 as well. */
const MAX_NAME = 255;

/** A name as it can be shown on one line: control characters become escapes. */
export function quoteName(name: string): string {
  return JSON.stringify(name);
}

/** At most `most` items of a list for a message, quoted: "a", "b" and 3 more. */
export function listNames(names: readonly string[], most = 8): string {
  const shown = names.slice(0, most).map(quoteName).join(', ');
  return names.length > most ? `${shown} and ${names.length - most} more` : shown;
}
