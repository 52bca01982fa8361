// Reads TensorBoard's event files, by the definition of their checksums.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromBinary } from '@bufbuild/protobuf';
import { EventSchema } from '../../src/train/generated/event_pb.ts';

/** CRC-32C by its definition: a bit at a time, the reversed polynomial 0x82f63b78. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}

function unmask(masked: number): number {
  const turned = (masked - 0xa282ead8) >>> 0;
  return ((turned << 15) | (turned >>> 17)) >>> 0;
}

/** An event as a reader sees it. */
export interface ReadEvent {
  readonly step: number;
  readonly what: string | undefined;
  readonly values: Record<string, number>;
}

/** The events of a file, with all its checksums checked; a torn last record is left out. */
export function readEvents(path: string): ReadEvent[] {
  const bytes = readFileSync(path);
  const events: ReadEvent[] = [];
  for (let start = 0; start + 12 <= bytes.length; ) {
    const end = start + 12 + Number(bytes.readBigUInt64LE(start));
    if (end + 4 > bytes.length) break;
    assert.equal(unmask(bytes.readUInt32LE(start + 8)), crc32c(bytes.subarray(start, start + 8)));
    assert.equal(unmask(bytes.readUInt32LE(end)), crc32c(bytes.subarray(start + 12, end)));
    const { step, what, wallTime } = fromBinary(EventSchema, bytes.subarray(start + 12, end));
    assert.ok(Math.abs(wallTime - Date.now() / 1000) < 60);
    const values = what.case === 'summary' ? what.value.value : [];
    events.push({
      step: Number(step),
      what: what.case,
      values: Object.fromEntries(values.map(({ tag, value }) => [tag, value.value!])),
    });
    start = end + 4;
  }
  return events;
}

/** What TensorBoard shows of a folder: files in the order of their names; a start at a step drops what was there from it on. */
export function readShown(folder: string): ReadEvent[] {
  let shown: ReadEvent[] = [];
  for (const name of readdirSync(folder).sort()) {
    for (const event of readEvents(join(folder, name))) {
      if (event.what === 'sessionLog') shown = shown.filter(({ step }) => step < event.step);
      if (event.what === 'summary') shown.push(event);
    }
  }
  return shown;
}
