// A backbone for pictures of another size, where its network is the same for any: with symmetric padding.
import type { Backbone } from '../../src/zoo/backbone.ts';

/** @param size side of the input, in pixels. */
export const withSize = (backbone: Backbone, size: number): Backbone => ({
  ...backbone,
  preprocess: { ...backbone.preprocess, size },
});
