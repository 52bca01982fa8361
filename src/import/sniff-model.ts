// What a file seems to be that was taken for a model: told by its first bytes, for a sentence that helps.
import { HEAD_BYTES, sniffImage } from '../image/sniff.ts';

/** Formats of models and of weights; `other` is everything else that is known. */
export type ModelFormat = 'onnx' | 'hdf5' | 'zip' | 'pickle' | 'gguf' | 'safetensors' | 'other' | 'unknown';

/** Models that are wanted. */
export type WantedModel = '.tflite' | '.onnx or .tflite';

/** A kind of file, with its article, and what to do about it where another is wanted. */
export interface SniffedModel {
  readonly format: ModelFormat;
  readonly kind: string;
  readonly hint: string;
}

/** What to do, by what is wanted. */
type Hint = (wanted: WantedModel) => string;
const formats = (wanted: WantedModel) => (wanted === '.tflite' ? 'TFLite' : 'ONNX or TFLite');
const convert: Hint = wanted => `Convert it to ${formats(wanted)} first.`;
const nameOne: Hint = wanted => `Name a ${wanted} file.`;

/** Characters that start a file, in Latin-1. */
const starts: readonly (readonly [start: string, format: ModelFormat, kind: string, hint: Hint])[] = [
  [
    'version https://git-lfs.github.com/spec/',
    'other',
    'a Git LFS pointer, which stands for the real file',
    () => 'Fetch the real one: git lfs pull.',
  ],
  ['GGUF', 'gguf', 'a GGUF weight file', convert],
  ['\x89HDF\r\n\x1a\n', 'hdf5', 'an HDF5 file, perhaps a Keras model', convert],
  [
    'PK\x03\x04',
    'zip',
    'a ZIP archive, perhaps a Keras or PyTorch model',
    wanted => `Unpack it, or convert it to ${formats(wanted)} first.`,
  ],
  ['\x1f\x8b', 'other', 'a gzip archive', () => 'Unpack it first.'],
  ...['\x02', '\x03', '\x04', '\x05'].map(
    protocol => [`\x80${protocol}`, 'pickle', 'a Python pickle, perhaps a PyTorch model', convert] as const,
  ),
  ['ORTM', 'other', 'a model in ONNX Runtime format', convert],
  ['%PDF-', 'other', 'a PDF document', nameOne],
];

/** Tells what `bytes` seem to be; only the first HEAD_BYTES of them and their number count. */
export function sniffModel(bytes: Uint8Array, wanted: WantedModel = '.tflite'): SniffedModel {
  const head = Buffer.from(bytes.subarray(0, HEAD_BYTES)).toString('latin1');
  if (head.length === 0) return { format: 'other', kind: 'empty', hint: 'Download or export it again.' };
  const known = starts.find(([start]) => head.startsWith(start));
  if (known) return { format: known[1], kind: known[2], hint: known[3](wanted) };
  // Ahead of pictures: a page may hold a drawing.
  if (/^(?:\xef\xbb\xbf)?\s*<(?:!doctype html|html|head|body)\b/i.test(head)) {
    return {
      format: 'other',
      kind: 'an HTML page, perhaps the error page of a download',
      hint: 'Download the file itself.',
    };
  }
  const image = sniffImage(bytes.subarray(0, HEAD_BYTES));
  if (image) return { format: 'other', kind: `a photo (${image.name})`, hint: nameOne(wanted) };
  if (isOnnx(bytes)) {
    return {
      format: 'onnx',
      kind: 'an ONNX model',
      hint: 'Name the .tflite file; graft benchmark takes .onnx files too.',
    };
  }
  if (head.startsWith('{', 8))
    return { format: 'safetensors', kind: 'a safetensors weight file', hint: convert(wanted) };
  if (isText(head)) return { format: 'other', kind: 'text', hint: nameOne(wanted) };
  return { format: 'unknown', kind: 'something else', hint: `Name a ${wanted} file; this one may be damaged.` };
}

/** Text has no control characters but tabs and line ends. */
function isText(head: string): boolean {
  return !/\p{Cc}/u.test(head.replace(/[\t\r\n]/g, ''));
}

/** Tags of ModelProto's texts (fields 2 to 6), of its graph (7) and of its opsets (8), any of which may come second. */
const ONNX_TAGS: readonly number[] = [0x12, 0x1a, 0x22, 0x2a, 0x32, 0x3a, 0x42];

/** An ONNX file is a ModelProto, which nearly always begins with ir_version: tag 0x08, and a number below 32. */
export function isOnnx(head: Uint8Array): boolean {
  return head[0] === 0x08 && head[1]! > 0 && head[1]! < 32 && ONNX_TAGS.includes(head[2]!);
}
