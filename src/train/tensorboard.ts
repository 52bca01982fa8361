// Event files for TensorBoard: framed records (TFRecord), each one Event of event.proto with the numbers of a step.
// Whole records are appended and can be looked at during training; a torn last one is not there for readers.
import { mkdir, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import crc32c from 'crc-32/crc32c.js';
import { explainSystemError } from '../base/errors.ts';
import { EventSchema, SessionLog_SessionStatus } from './generated/event_pb.ts';

/** What TensorBoard wants first in a file. */
const FILE_VERSION = 'brain.Event:2';
/** TensorBoard looks for "tfevents" in a name, and reads the files of a folder in the order of their names. */
const FILE_NAME = /^events\.out\.tfevents\.(\d{10})\.graft$/;

/** An event file that is being written. */
export interface EventFile {
  /**
   * Appends the values of a step by their names; a slash in a name makes a group (`loss/train`). They are kept as
   * float32; NaN and infinities are shown as such. Calls may overlap: records stay whole and in order.
   * @throws GraftError `disk-full` or `no-access`; nothing more is written after that.
   */
  scalars(step: number, values: Readonly<Record<string, number>>): Promise<void>;
  /** Waits for what is on its way, makes it permanent and closes the file. */
  close(): Promise<void>;
}

/**
 * Starts a new event file in `folder`, made if need be; TensorBoard shows all files of a folder as one run.
 * `firstStep` is for a run that is resumed: what earlier files say of this step and later ones is no longer shown.
 * Without it a file behind others only adds to them.
 * @throws GraftError `disk-full` or `no-access`.
 */
export async function openEventFile(folder: string, firstStep?: number): Promise<EventFile> {
  try {
    await mkdir(folder, { recursive: true });
    const earlier = await listSeconds(folder);
    // Behind all others, also when the clock was set back or a run of less than a second is resumed.
    const seconds = Math.max(Math.floor(now()), ...earlier.map(taken => taken + 1));
    const path = join(folder, `events.out.tfevents.${seconds}.graft`);
    const file = await open(path, 'ax');
    let last: Promise<void> = Promise.resolve();
    const append = (event: MessageInitShape<typeof EventSchema>) => {
      const record = frame(toBinary(EventSchema, create(EventSchema, event)));
      last = last.then(() => file.appendFile(record));
      return last.catch(error => Promise.reject(explainSystemError(error, path)));
    };
    try {
      await append({ wallTime: now(), what: { case: 'fileVersion', value: FILE_VERSION } });
      // TensorBoard drops what a second START and later ones supersede, so that the first file needs one as well.
      const start = firstStep ?? (earlier.length === 0 ? 0 : undefined);
      if (start !== undefined) {
        const value = { status: SessionLog_SessionStatus.START };
        await append({ wallTime: now(), step: BigInt(start), what: { case: 'sessionLog', value } });
      }
    } catch (error) {
      await file.close();
      throw error;
    }
    return {
      scalars(step, values) {
        const value = Object.entries(values).map(([tag, number]) => ({
          tag,
          value: { case: 'simpleValue' as const, value: Math.fround(number) },
        }));
        return append({ wallTime: now(), step: BigInt(step), what: { case: 'summary', value: { value } } });
      },
      async close() {
        await last.catch(() => {});
        try {
          await file.datasync();
        } catch (error) {
          throw explainSystemError(error, path);
        } finally {
          await file.close();
        }
      },
    };
  } catch (error) {
    throw explainSystemError(error, folder);
  }
}

const now = () => Date.now() / 1000;

/** The numbers in the names of a folder's event files. */
async function listSeconds(folder: string): Promise<number[]> {
  return (await readdir(folder)).flatMap(name => FILE_NAME.exec(name)?.[1] ?? []).map(Number);
}

/** A TFRecord: length (uint64), its checksum, data, their checksum; all little-endian. */
function frame(data: Uint8Array): Uint8Array {
  const record = Buffer.alloc(12 + data.length + 4);
  record.writeBigUInt64LE(BigInt(data.length), 0);
  record.writeUInt32LE(maskedCrc32c(record.subarray(0, 8)), 8);
  record.set(data, 12);
  record.writeUInt32LE(maskedCrc32c(data), 12 + data.length);
  return record;
}

/** CRC-32C, turned right by 15 bits, plus a constant: checksums of data that hold checksums would be weak. */
function maskedCrc32c(data: Uint8Array): number {
  const crc = crc32c.buf(data);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
