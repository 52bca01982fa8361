// What throughput.bench.ts asks of graft and of PyTorch, and what each answers with.
import { recordKey } from '../../src/train/record-cache.ts';
import type { PeerNetwork } from './peer-network.ts';

/** A round of steps. */
export interface StepsJob {
  readonly backbone: string;
  /** The network with its weights, for the peer. */
  readonly network: PeerNetwork;
  /** Whether the peer's values have their channels last. */
  readonly channelsLast?: boolean;
  /** File of `photos` pictures, uint8 [photos, size, size, 3]; the label of each is its number modulo the classes. */
  readonly pixels: string;
  readonly photos: number;
  readonly size: number;
  readonly classes: number;
  /** Record cache with the same pictures, by `pictureKey`. */
  readonly cache: string;
  readonly batch: number;
  readonly warmUp: number;
  readonly steps: number;
  readonly threads: number;
}

/** What a round gave. */
export interface StepsReport {
  /** Of each timed step. */
  readonly seconds: readonly number[];
  /** Processor seconds of the timed steps by their wall-clock seconds: near `threads` when nothing else runs. */
  readonly cores: number;
  /** Of each step, with those that warmed up. */
  readonly losses: readonly number[];
  /** Peak resident memory of the process. */
  readonly megabytes: number;
}

/** Key of a picture in the cache. */
export const pictureKey = (index: number) => recordKey('throughput', index);
