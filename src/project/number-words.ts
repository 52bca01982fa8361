// Numbers as people read them, on pages, in the terminal and in sentences.

/** 0.934 as "93.4 %". */
export const percent = (part: number): string => `${(100 * part).toFixed(1)} %`;

/** {low: 0.81, high: 0.93} as "81.0 to 93.0 %". */
export const range = ({ low, high }: { readonly low: number; readonly high: number }): string =>
  `${(100 * low).toFixed(1)} to ${percent(high)}`;
