// The backbone that graft uses unless told otherwise, with its weights.
import { cacheFolder } from '../../src/project/cache-folder.ts';
import { openBackbone } from '../../src/project/open-backbone.ts';
import type { Backbone } from '../../src/zoo/backbone.ts';
import { DEFAULT_BACKBONE } from '../../src/zoo/cards.ts';
import { drain } from './reference.ts';

/** @param size side of the input. Default: the backbone's own. */
export async function openDefaultBackbone(size?: number): Promise<Backbone> {
  return (await drain(openBackbone({ model: DEFAULT_BACKBONE, imgsz: size }, cacheFolder()))).backbone;
}
