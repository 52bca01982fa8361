// The names that the setting `pixels` takes.
import { type PixelsName, pixelScales } from '../import/find-preprocess.ts';

export const pixelsNames = Object.keys(pixelScales) as PixelsName[];

export const isPixelsName = (value: unknown): value is PixelsName => pixelsNames.includes(value as PixelsName);
