// What a verb tells while it works. Verbs are async generators of these; the CLI and any other front end only show them.

/** A long stage goes forward: `done` of `total` items. The first event of a stage has done = 0 or what was cached. */
export interface ProgressEvent {
  readonly type: 'progress';
  readonly stage: string;
  readonly done: number;
  readonly total: number;
  /** What is counted: photos, epochs, bytes. */
  readonly unit: string;
  /** Free text beside the bar, e.g. loss and accuracy. */
  readonly detail?: string;
}

/** Something worth a line. */
export interface NoteEvent {
  readonly type: 'note' | 'warning';
  readonly message: string;
}

/** From now on the work can be gone on with by `train` with `resume`, should it be cut off. */
export interface ResumableEvent {
  readonly type: 'resumable';
  /** Folder of the run. */
  readonly run: string;
}

/** The verb's result; always the last event. */
export interface ResultEvent<R> {
  readonly type: 'result';
  readonly result: R;
}

/** All events of a verb whose result is R. */
export type VerbEvent<R> = ProgressEvent | NoteEvent | ResumableEvent | ResultEvent<R>;

/** Events of a part of a verb: it returns its result instead of yielding it. */
export type Steps<R> = AsyncGenerator<ProgressEvent | NoteEvent | ResumableEvent, R>;

/** Runs a verb to its end and returns its result; `onEvent` sees every event. */
export async function finish<R>(
  verb: AsyncIterable<VerbEvent<R>>,
  onEvent?: (event: VerbEvent<R>) => void,
): Promise<R> {
  for await (const event of verb) {
    onEvent?.(event);
    if (event.type === 'result') return event.result;
  }
  throw new Error('A verb ended without a result.');
}

/** Waits for `work` and meanwhile yields what `look` sees, about five times a second and once at the end. */
export async function* watch<R>(work: Promise<R>, look: () => ProgressEvent): Steps<R> {
  let pending = true;
  const settle = () => {
    pending = false;
  };
  const settled = work.then(settle, settle);
  while (pending) {
    yield look();
    let timer: NodeJS.Timeout | undefined;
    const tick = new Promise<void>(resolve => {
      timer = setTimeout(resolve, 200);
    });
    await Promise.race([settled, tick]);
    clearTimeout(timer);
  }
  const result = await work;
  yield look();
  return result;
}
