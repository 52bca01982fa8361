// Which folder is which class and which split: the rules of Hugging Face's ImageFolder, and a clear word where they end.
// https://huggingface.co/docs/datasets/image_dataset#imagefolder; the label is the name of the folder around the photo.
import { GraftError } from '../base/errors.ts';
import {
  type Excluded,
  findPhoto,
  joinInner,
  type Listing,
  listFolder,
  looksLikePhoto,
  resolveRoot,
} from './folder.ts';
import { badClassName, compareCodePoints, listNames, quoteName, type Split, splitOfFolder, splits } from './splits.ts';

/** One class folder (once per split). */
export interface ClassFolder {
  /** Relative to the root, e.g. `train/cat`. */
  readonly path: string;
  readonly class: string;
  /** null in a flat layout. */
  readonly split: Split | null;
  /** Names of the files directly inside, in code-point order; not yet looked into. */
  readonly files: readonly string[];
}

/** A data set's folder before any photo is read. */
export interface Layout {
  /** Absolute path, links resolved. */
  readonly root: string;
  /** `flat`: root/class/photo. `splits`: root/split/class/photo. */
  readonly kind: 'flat' | 'splits';
  /** The split folders as they are called on disk; empty in a flat layout. */
  readonly splitFolders: readonly { readonly folder: string; readonly split: Split }[];
  readonly classFolders: readonly ClassFolder[];
  /** All class names over all splits in code-point order: a name's place is the class's number. */
  readonly classes: readonly string[];
  /** Strays and links, with reasons. */
  readonly excluded: readonly Excluded[];
  /** Bystanders without a photo's name or content: hidden files, README, metadata.csv. */
  readonly ignored: readonly string[];
  /** Sentences about what was taken for what. */
  readonly notes: readonly string[];
  /** Sentences about what is probably a mistake. */
  readonly warnings: readonly string[];
}

/** What is collected on the way. */
interface Findings {
  excluded: Excluded[];
  ignored: string[];
  notes: string[];
  warnings: string[];
}

/**
 * Reads the folders of a data set: `root/<class>/*`, or `root/<split>/<class>/*` with split folders named as in
 * `splitFolderNames`. Files are not opened, except the first bytes of a few.
 * @throws GraftError `not-found`, `no-access`; `empty-dataset` when there is no photo; `bad-dataset` when photos lie where
 * no class can be told from (no class folders, splits and classes side by side, one folder too deep) or a class has an
 * impossible name.
 */
export async function readLayout(path: string): Promise<Layout> {
  const root = await resolveRoot(path);
  const found: Findings = { excluded: [], ignored: [], notes: [], warnings: [] };
  const top = await listFolder(root, '');
  keepAside(found, top);
  const strays = await sortStrays(root, '', top.files, found);
  const named = top.folders.map(folder => ({ folder, split: splitOfFolder(folder) }));
  const splitFolders = named.filter((item): item is { folder: string; split: Split } => item.split !== null);
  const others = named.filter(item => item.split === null).map(item => item.folder);
  const classFolders: ClassFolder[] = [];
  if (splitFolders.length === 0) {
    classFolders.push(...(await readClassFolders(root, '', others, null, found)));
  } else {
    await refuseMixture(root, splitFolders, others, found);
    for (const { folder, split } of splitFolders) {
      const inside = await listFolder(root, folder);
      keepAside(found, inside);
      const loose = await sortStrays(root, folder, inside.files, found);
      const classesHere = await readClassFolders(root, folder, inside.folders, split, found);
      if (classesHere.length === 0 && loose > 0) throw noClassFolders(joinInner(root, folder), loose, folder);
      if (classesHere.length === 0) found.notes.push(`${folder}/ holds no photos.`);
      classFolders.push(...classesHere);
    }
  }
  if (classFolders.length === 0) {
    if (strays > 0) throw noClassFolders(root, strays, null);
    throw new GraftError(
      'empty-dataset',
      `${quoteName(root)} holds no photos.`,
      'Make one folder per class in it, with that class’s photos: cat/1.jpg, dog/1.jpg.',
    );
  }
  const classes = [...new Set(classFolders.map(folder => folder.class))].sort(compareCodePoints);
  checkClassNames(classes, found);
  if (splitFolders.length > 0) found.notes.unshift(describeSplits(splitFolders));
  return { root, kind: splitFolders.length > 0 ? 'splits' : 'flat', splitFolders, classFolders, classes, ...found };
}

function keepAside(found: Findings, listing: Listing): void {
  found.excluded.push(...listing.excluded);
  found.ignored.push(...listing.hidden);
}

/** Files where only folders are wanted: photos are left out with a reason, the rest is ignored. Returns the photos' number. */
async function sortStrays(root: string, inner: string, files: readonly string[], found: Findings): Promise<number> {
  let photos = 0;
  for (const name of files) {
    const path = joinInner(inner, name);
    if (await looksLikePhoto(root, path)) {
      photos++;
      found.excluded.push({ path, reason: 'lies beside the class folders and so has no class; move it into one' });
    } else {
      found.ignored.push(path);
    }
  }
  return photos;
}

/** The class folders among `names`: those that hold a photo. */
async function readClassFolders(
  root: string,
  inner: string,
  names: readonly string[],
  split: Split | null,
  found: Findings,
): Promise<ClassFolder[]> {
  const classFolders: ClassFolder[] = [];
  const deep: string[] = [];
  for (const name of names) {
    const path = joinInner(inner, name);
    const listing = await listFolder(root, path);
    keepAside(found, listing);
    const photo = await firstPhoto(root, path, listing.files);
    let below: string | null = null;
    for (const folder of listing.folders) {
      const nested = joinInner(path, folder);
      const inside = await findPhoto(root, nested);
      if (inside === null) continue;
      below ??= inside;
      found.excluded.push({
        path: nested,
        reason: `a folder inside the class folder ${quoteName(path)}; move its photos up`,
      });
    }
    if (photo !== null) classFolders.push({ path, class: name, split, files: listing.files });
    else if (below !== null) deep.push(below);
    else {
      found.ignored.push(...listing.files.map(file => joinInner(path, file)));
      found.notes.push(`The folder ${quoteName(path)} holds no photos and is not taken for a class.`);
    }
  }
  if (deep.length > 0) throw tooDeep(root, inner, deep, classFolders);
  return classFolders;
}

async function firstPhoto(root: string, inner: string, files: readonly string[]): Promise<string | null> {
  for (const name of files) {
    if (await looksLikePhoto(root, joinInner(inner, name))) return name;
  }
  return null;
}

function tooDeep(
  root: string,
  inner: string,
  deep: readonly string[],
  classFolders: readonly ClassFolder[],
): GraftError {
  const folders = [...new Set(deep.map(photo => photo.split('/').slice(0, -1).join('/')))];
  const outer = [
    ...new Set(
      deep.map(photo =>
        photo
          .split('/')
          .slice(0, inner === '' ? 1 : 2)
          .join('/'),
      ),
    ),
  ];
  // One wrapper around everything, as archives unpack: the data set is one folder further down.
  const wrapped = inner === '' && classFolders.length === 0 && outer.length === 1;
  return new GraftError(
    'bad-dataset',
    `Photos lie too deep in ${quoteName(root)}: ${listNames(folders, 3)}. The folder around a photo is its class, and ` +
      'class folders lie directly in the data set or in train/, validation/ and test/.',
    wrapped
      ? `If the data set is ${quoteName(joinInner(root, outer[0]!))}, give that folder.`
      : `Move the photos up into ${listNames(outer, 3)}, or give the folder that holds the class folders.`,
  );
}

function noClassFolders(folder: string, photos: number, split: string | null): GraftError {
  return new GraftError(
    'bad-dataset',
    `${quoteName(folder)} holds ${photos} photo${photos === 1 ? '' : 's'} but no class folders.`,
    split === null
      ? 'Make one folder per class in it and move the photos there: cat/1.jpg, dog/1.jpg.'
      : `Make one folder per class in ${split}/ and move the photos there. If ${quoteName(split)} is the name of a class, ` +
          'rename the folder: this name means a part of the data set.',
  );
}

/** Splits and classes side by side cannot be told apart. Other folders without a photo do no harm. */
async function refuseMixture(
  root: string,
  splitFolders: readonly { folder: string }[],
  others: readonly string[],
  found: Findings,
): Promise<void> {
  const mixed: string[] = [];
  for (const folder of others) {
    if ((await findPhoto(root, folder)) !== null) mixed.push(folder);
    else found.ignored.push(`${folder}/`);
  }
  if (mixed.length === 0) return;
  const names = splitFolders.map(item => item.folder);
  throw new GraftError(
    'bad-dataset',
    `${quoteName(root)} mixes split folders (${listNames(names)}) with class folders (${listNames(mixed)}).`,
    `Move the class folders into a split folder, e.g. train/${mixed[0]}; or, if ${listNames(names)} are classes, ` +
      'rename them, because these names mean parts of the data set.',
  );
}

function describeSplits(splitFolders: readonly { folder: string; split: Split }[]): string {
  const parts = splits.flatMap(split => {
    const folders = splitFolders.filter(item => item.split === split).map(item => `${item.folder}/`);
    return folders.length === 0 ? [] : [`${split} from ${folders.join(' and ')}`];
  });
  return `The folder comes with splits: ${parts.join(', ')}.`;
}

/** Refuses names that a labels file cannot hold or that look alike; warns of names that differ in case or outer spaces. */
function checkClassNames(classes: readonly string[], found: Findings): void {
  const seen = new Map<string, string>();
  const folded = new Map<string, string>();
  for (const name of classes) {
    const bad = badClassName(name);
    if (bad !== null) {
      throw new GraftError('bad-dataset', `${quoteName(name)} cannot be a class name: ${bad}.`, 'Rename the folder.');
    }
    const composed = name.normalize('NFC');
    if (seen.has(composed)) {
      throw new GraftError(
        'bad-dataset',
        `Two class names look the same, ${quoteName(name)}, but are written with different Unicode characters ` +
          '(composed and decomposed accents).',
        'Give the folders the same name in every split; a copy between macOS and other systems often causes this.',
      );
    }
    seen.set(composed, name);
    const lower = composed.toLowerCase().trim();
    const twin = folded.get(lower);
    if (twin !== undefined) {
      found.warnings.push(`The classes ${quoteName(twin)} and ${quoteName(name)} differ only in case or outer spaces.`);
    } else if (name !== name.trim()) {
      found.warnings.push(`The class name ${quoteName(name)} starts or ends with a space, which readers may drop.`);
    }
    folded.set(lower, name);
  }
}
