// What `--model auto` is told, and what it answers.

/** The name that asks for a choice. */
export const AUTO = 'auto';

/** What a model may take. */
export interface ModelLimits {
  /** Milliseconds of one photo in LiteRT here, on one thread; undefined for no limit. */
  readonly maxLatency: number | undefined;
  /** Megabytes of the float32 .tflite file; undefined for no limit. */
  readonly maxSize: number | undefined;
}

/** A backbone that was looked at. */
export interface Candidate {
  readonly name: string;
  /** Median milliseconds of one photo in LiteRT here, on one thread. */
  readonly latency_ms: number;
  /** Megabytes of the float32 .tflite file. */
  readonly megabytes: number;
  /** Of a linear head on the validation photos, 0..1; null where the backbone does not come into question. */
  readonly accuracy: number | null;
  readonly chosen: boolean;
}

/** A choice: the backbone, and all that were looked at, the best first. */
export interface ModelChoice {
  readonly model: string;
  readonly candidates: readonly Candidate[];
  /** Names of the zoo whose weights are not in the cache. */
  readonly missing: readonly string[];
}
