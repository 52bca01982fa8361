// Shows events: bars on standard error where it is a terminal, plain lines where it is not.
import { type Options, SingleBar } from 'cli-progress';
import type { NoteEvent, ProgressEvent } from '../base/events.ts';
import { paintError } from './paint.ts';
import { printable } from './text.ts';

/** Seconds between the plain lines of one stage when there is no terminal. */
const LINE_INTERVAL = 5;

/** Shows progress and notes. */
export interface Show {
  event(event: ProgressEvent | NoteEvent): void;
  /** Ends the current bar, if any. */
  end(): void;
}

/** Starts showing on standard error. */
export function makeShow(): Show {
  const terminal = process.stderr.isTTY === true;
  let stage = '';
  let bar: SingleBar | undefined;
  let lastLine = 0;
  let last: ProgressEvent | undefined;

  const line = (event: ProgressEvent) => {
    lastLine = Date.now();
    process.stderr.write(`${describe(event)}\n`);
  };
  const end = () => {
    bar?.stop();
    bar = undefined;
    // A stage that stopped early still gets its last line.
    if (!terminal && last && last.done !== last.total) line(last);
    last = undefined;
    stage = '';
  };

  const progress = (event: ProgressEvent) => {
    const isNew = event.stage !== stage;
    if (isNew) end();
    stage = event.stage;
    if (terminal) {
      const payload = { counted: counted(event), detail: event.detail ?? '' };
      if (isNew) {
        bar = new SingleBar(barOptions);
        bar.start(Math.max(event.total, 1), event.done, { stage: stage.padEnd(8), ...payload });
      }
      bar!.setTotal(Math.max(event.total, 1));
      bar!.update(event.done, payload);
      return;
    }
    const over = event.done === event.total && last?.done !== event.done;
    if (over || (!isNew && Date.now() - lastLine > LINE_INTERVAL * 1000)) line(event);
    else if (isNew) lastLine = Date.now();
    last = event;
  };

  return {
    end,
    event(event) {
      if (event.type === 'progress') return progress(event);
      end();
      const mark = event.type === 'warning' ? paintError('yellow', 'warning: ') : '';
      process.stderr.write(`${mark}${printable(event.message)}\n`);
    },
  };
}

const barOptions: Options = {
  format: '{stage} [{bar}] {counted} {eta_formatted} {detail}',
  barCompleteChar: '=',
  barIncompleteChar: ' ',
  barsize: 24,
  hideCursor: true,
  stopOnComplete: false,
  fps: 10,
};

function describe(event: ProgressEvent): string {
  return `${event.stage}: ${counted(event)}${event.detail ? `, ${event.detail}` : ''}`;
}

function counted({ done, total, unit }: ProgressEvent): string {
  if (unit !== 'bytes') return `${done}/${total} ${unit}`;
  return `${(done / 1e6).toFixed(1)}/${(total / 1e6).toFixed(1)} MB`;
}
