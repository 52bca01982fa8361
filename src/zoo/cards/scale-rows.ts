// The short tables of papers, one row per group of repeated blocks, as rows of single blocks, scaled in width and depth.
import type { InvertedResidual } from '../families/inverted-residual.ts';
import type { Activation } from '../families/layers.ts';

/** One row of a paper's table: `repeats` blocks, of which the first has the stride. */
export interface RepeatedRow {
  readonly kernel: 3 | 5;
  /** Channels inside a block, per channel of its input. */
  readonly expansion: number;
  readonly out: number;
  readonly repeats: number;
  readonly stride: 1 | 2;
}

/** How a table becomes a network. */
export interface Scaling {
  readonly activation: Activation;
  /** Channels of the stem, which are not scaled. */
  readonly stem: number;
  /** Channels per channel of the table, rounded to multiples of 8. Default 1. */
  readonly width?: number;
  /** Blocks per block of the table, rounded up; the first and the last row are not scaled. Default 1. */
  readonly depth?: number;
  /** Channels inside squeeze-and-excitation, per channel of the block's input. Default: none. */
  readonly squeeze?: number;
}

/** The nearest multiple of 8 that is not more than a tenth below. */
export function makeDivisible(channels: number): number {
  const rounded = Math.max(8, 8 * Math.floor((channels + 4) / 8));
  return rounded < 0.9 * channels ? rounded + 8 : rounded;
}

/** The blocks of each row. */
export function scaleRows(table: readonly RepeatedRow[], scaling: Scaling): InvertedResidual[][] {
  const { activation, stem, width = 1, depth = 1, squeeze = 0 } = scaling;
  let channels = stem;
  return table.map(({ kernel, expansion, repeats, stride, ...row }, i) => {
    const isScaled = i > 0 && i < table.length - 1;
    const out = makeDivisible(row.out * width);
    return Array.from({ length: isScaled ? Math.ceil(repeats * depth) : repeats }, (_, block) => {
      const [inside, squeezed] = [channels * expansion, Math.floor(channels * squeeze)];
      channels = out;
      return { kernel, expanded: inside, out, squeeze: squeezed, activation, stride: block === 0 ? stride : 1 };
    });
  });
}
