// Prints where graft report has written its page.
import { type ReportOptions, report } from '../project/report.ts';
import type { CommandCode } from './command-code.ts';
import { runVerb } from './run-verb.ts';
import { formatBytes, percent, printable, printJson } from './text.ts';

export const runReport: CommandCode = async (values, json) => {
  const result = await runVerb(report(values as unknown as ReportOptions));
  if (json) {
    printJson(result);
    return 0;
  }
  const { page, bytes, images, accuracy, not_opened } = result;
  process.stdout.write(
    `${printable(page)}: ${formatBytes(bytes)}, ${percent(accuracy)} of ${images} photos right. Open it in a browser; it works offline.\n`,
  );
  if (not_opened !== null) process.stderr.write(`No browser was opened: ${printable(not_opened)}.\n`);
  return 0;
};
