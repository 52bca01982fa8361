// What `--model auto` is told.

/** The name that asks for a choice. */
export const AUTO = 'auto';

/** What a model may take. */
export interface ModelLimits {
  /** Milliseconds of one photo in LiteRT here, on one thread; undefined for no limit. */
  readonly maxLatency: number | undefined;
  /** Megabytes of the float32 .tflite file; undefined for no limit. */
  readonly maxSize: number | undefined;
}
