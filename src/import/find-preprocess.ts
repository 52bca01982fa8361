// Finds out what pixels a network wants: from what the file says of itself, the files beside it, or what the user says.
import { GraftError } from '../base/errors.ts';
import type { Channels, StrippedInput } from './strip-input.ts';

/** A way to turn a pixel 0..255 into what a network reads: (pixel / 255 - mean) / std per channel of the file's input. */
export interface PixelScale {
  readonly mean: Channels;
  readonly std: Channels;
}

/** The ways that have names, as the option `pixels` takes them. */
export const pixelScales = {
  /** Less the mean of ImageNet, in its deviations: PyTorch, timm. */
  imagenet: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
  /** -1 to 1: TensorFlow's MobileNets and Inceptions. */
  signed: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
  /** 0 to 1. */
  unit: { mean: [0, 0, 0], std: [1, 1, 1] },
  /** 0 to 255: networks that scale their input themselves. */
  bytes: { mean: [0, 0, 0], std: [1 / 255, 1 / 255, 1 / 255] },
  /** 0 to 255 less the mean of ImageNet, blue first: Caffe, and Keras' VGG and ResNet. */
  caffe: {
    mean: [103.939 / 255, 116.779 / 255, 123.68 / 255],
    std: [1 / 255, 1 / 255, 1 / 255],
  },
} as const satisfies Record<string, PixelScale>;

/** Name of a way. */
export type PixelsName = keyof typeof pixelScales;

/** What the user says of the pixels. */
export interface PixelOptions {
  readonly pixels?: PixelsName | undefined;
  /** Mean and deviation of red, green and blue in the range 0..1; both or none. */
  readonly mean?: Channels | undefined;
  readonly std?: Channels | undefined;
}

/** What somebody says that pixels are scaled by. */
export interface PixelEvidence extends PixelScale {
  /** Who says so, for the user. */
  readonly source: string;
}

/** What files say: the model's own, and one beside it. */
export interface Evidences {
  readonly own?: PixelEvidence | undefined;
  readonly beside?: PixelEvidence | undefined;
}

/** What is known of the pixels of a file. */
export interface FoundPixels {
  /** In the order of the network's input after what was taken out of the graph. */
  readonly scale: PixelScale;
  /** Whether the network reads blue first. */
  readonly isBgr: boolean;
  readonly source: string;
  /** A sentence for the user whose words are not the file's. */
  readonly contradiction: string | undefined;
}

/**
 * The scale of the pixels that `image` of a stripped network is made of: what the user says, else the file, else what the
 * graph does to its input, else a file beside it. A normalisation that was taken out of the graph comes on top.
 * @param guess a likely way, for the hint where nothing says it.
 * @throws GraftError `usage` when nothing says it, and when what is said makes no sense with the graph's normalisation.
 */
export function findPixels(
  file: string,
  { scale, shift }: Pick<StrippedInput, 'scale' | 'shift'>,
  { own, beside }: Evidences,
  options: PixelOptions,
  guess: () => PixelsName | undefined = () => undefined,
): FoundPixels {
  const byUser = saidBy(options);
  const said = byUser ?? own ?? guessFromGraph(scale, shift) ?? beside;
  if (!said) {
    const likely = guess();
    throw new GraftError(
      'usage',
      `${file} does not say how its pixels are scaled, and neither does a file beside it.`,
      `Say it as the network was trained; exported from PyTorch? --pixels imagenet. They are: imagenet (less the mean of ImageNet, in its deviations: PyTorch, timm), signed (-1 to 1: TensorFlow), unit (0 to 1), bytes (0 to 255: the network scales them itself) or caffe (blue first, 0 to 255 less the mean).${
        likely ? ` Its first BatchNorm was trained on pixels like ${likely}.` : ''
      }`,
    );
  }
  const joined = joinScale(said, scale, shift);
  if (said === byUser || said === beside) refuseImplausible(file, said, joined, scale, shift);
  const contradiction = byUser && own && !isAlike(byUser, own) ? contradict(file, byUser, own) : undefined;
  return { scale: joined, isBgr: options.pixels === 'caffe', source: said.source, contradiction };
}

/** Means and deviations of 0..1 that networks which read photos may have; those of `bytes` besides. */
const MEAN_BOUNDS = [-0.1, 1.1] as const;
const DEVIATION_BOUNDS = [0.05, 2] as const;

/** Refuses a scale that, on top of the graph's own normalisation, is none that a network is trained with. */
function refuseImplausible(
  file: string,
  said: PixelEvidence,
  joined: PixelScale,
  scale: Channels,
  shift: Channels,
): void {
  const isInside = (value: number, [low, high]: readonly [number, number]) => value >= low && value <= high;
  const isPlausible = joined.std.every(
    (std, c) =>
      isInside(joined.mean[c]!, MEAN_BOUNDS) &&
      (isInside(std, DEVIATION_BOUNDS) || Math.abs(255 * std - 1) < RANGE_TOLERANCE),
  );
  const isNormalised = scale.some(factor => factor !== 1) || shift.some(added => added !== 0);
  if (isPlausible || !isNormalised) return;
  const graph = `its first steps multiply by ${listed(scale)} and add ${listed(shift)}`;
  const own = guessFromGraph(scale, shift) ? 'Leave it out: the network tells by itself' : 'Say it as the file is fed';
  throw new GraftError(
    'usage',
    `${file} scales its pixels itself (${graph}), and ${said.source} they come scaled before (mean ${listed(said.mean)}, deviation ${listed(said.std)}): together that is a mean of ${listed(joined.mean)} and a deviation of ${listed(joined.std)} of 0..1.`,
    `${own}, before those steps: --pixels bytes (0 to 255) or unit (0 to 1) in most cases.`,
  );
}

/** Three numbers for a sentence. */
export const listed = (values: Channels): string => values.map(value => Number(value.toPrecision(4))).join(', ');

/** Whether two scales differ by no more than the rounding of a quantised input. */
const isAlike = (a: PixelScale, b: PixelScale): boolean =>
  a.mean.every(
    (mean, c) => Math.abs(mean - b.mean[c]!) < RANGE_TOLERANCE && Math.abs(a.std[c]! / b.std[c]! - 1) < RANGE_TOLERANCE,
  );

const contradict = (file: string, byUser: PixelEvidence, own: PixelEvidence): string =>
  `${file} wants other pixels, ${own.source} (mean ${listed(own.mean)}, deviation ${listed(own.std)} of 0..1), than what is used, ${byUser.source} (mean ${listed(byUser.mean)}, deviation ${listed(byUser.std)}).`;

function saidBy({ pixels, mean, std }: PixelOptions): PixelEvidence | undefined {
  if ((mean === undefined) !== (std === undefined) || (pixels !== undefined && mean !== undefined)) {
    throw new GraftError(
      'usage',
      'The scale of pixels is a name, or a mean with a deviation.',
      'Give either pixels, or mean and std with three numbers each.',
    );
  }
  if (mean && std) {
    if (![...mean, ...std].every(Number.isFinite) || std.some(number => number <= 0)) {
      throw new GraftError(
        'usage',
        `A mean of ${mean} with a deviation of ${std} is no scale.`,
        'Deviations are above 0.',
      );
    }
    return { mean, std, source: 'as you say' };
  }
  return pixels && { ...pixelScales[pixels], source: `${pixels}, as you say` };
}

/** image = scale * x + shift of x = (u - mean) / std is (u - (mean - shift * std / scale)) / (std / scale). */
function joinScale({ mean, std }: PixelScale, scale: Channels, shift: Channels): PixelScale {
  const each = (make: (channel: 0 | 1 | 2) => number): Channels => [make(0), make(1), make(2)];
  return {
    mean: each(c => mean[c] - (shift[c] * std[c]) / scale[c]),
    std: each(c => std[c] / scale[c]),
  };
}

/**
 * What a normalisation in the graph itself tells of the input before it: the one of 0..255 and 0..1 of which it makes numbers
 * that networks read, means in 0..1 and deviations around 0.1 to 1.
 */
function guessFromGraph(scale: Channels, shift: Channels): PixelEvidence | undefined {
  const channels = [0, 1, 2] as const;
  if (channels.every(c => scale[c] === 1 && shift[c] === 0)) return undefined;
  // Only a mean is taken off, of pixels 0..255 when it is that large.
  const isMeanOnly = channels.every(c => scale[c] === 1);
  for (const name of ['bytes', 'unit'] as const) {
    const { mean, std } = joinScale(pixelScales[name], scale, shift);
    const fits = channels.every(c => {
      const isInside = mean[c] > -0.01 && mean[c] < 1.01;
      if (isMeanOnly && name === 'bytes') return mean[c] > 0.2 && mean[c] < 0.8;
      return isInside && std[c] > 0.09 && std[c] < 1.01;
    });
    if (fits) return { ...pixelScales[name], source: 'as the first steps of the network tell' };
  }
  return undefined;
}

/** Largest difference, in parts of the range 0..1, within which a quantised input counts as one of the named ranges. */
const RANGE_TOLERANCE = 0.02;

/**
 * What a quantised input tells: real = scale * (stored - zeroPoint), where uint8 stores the pixel itself and int8 the pixel
 * less 128. An int8 input counts only where it has one of the usual ranges: it may also be made for other numbers.
 */
export function pixelsOfQuantised(type: 'UINT8' | 'INT8', scale: number, zeroPoint: number): PixelEvidence | undefined {
  const zero = type === 'UINT8' ? zeroPoint : zeroPoint + 128;
  const [mean, std] = [zero / 255, 1 / (255 * scale)];
  const known = Object.values(pixelScales)
    .slice(1, 4)
    .some(
      usual => Math.abs(mean - usual.mean[0]) < RANGE_TOLERANCE && Math.abs(std / usual.std[0] - 1) < RANGE_TOLERANCE,
    );
  if (type === 'INT8' && !known) return undefined;
  return { mean: [mean, mean, mean], std: [std, std, std], source: 'as its quantised input tells' };
}
