// Prints what graft export made: a table of the files with what each costs and gives.
import { type ExportedFile, type ExportOptions, type ExportRunResult, exportRun } from '../project/export.ts';
import type { Precision } from '../project/tflite-file.ts';
import type { CommandCode } from './command-code.ts';
import { paint } from './paint.ts';
import { runVerb } from './run-verb.ts';
import { formatTable, percent, printJson } from './text.ts';

export const runExport: CommandCode = async (values, json) => {
  const { precision, ...rest } = values as unknown as ExportOptions & { precision?: string };
  const names = precision?.split(',').map(name => name.trim() as Precision);
  const result = await runVerb(exportRun({ ...rest, ...(names && { precision: names }) }));
  if (json) printJson(result);
  else process.stdout.write(describeExport(result));
  return 0;
};

function describeExport(result: ExportRunResult): string {
  const { files, folder, accuracy, images, camera, recommended, labels } = result;
  const refused = files.filter(file => file.refused !== null);
  const seen = camera === 'none' ? '' : `, as the camera ${camera} sees them`;
  return [
    `The trained model is right on ${paint('bold', percent(accuracy))} of the ${images} validation photos${seen}. Its files, on the same photos:`,
    '',
    formatTable(
      ['file', 'size', 'latency', 'p95', 'accuracy', 'same class', 'largest difference'],
      files.map(describeFile),
    ),
    '',
    ...refused.map(file => `${paint('yellow', `${file.file} was not written`)}: ${file.refused}.`),
    ...(recommended === null
      ? []
      : [
          `Recommended: ${paint('bold', recommended)} (the fastest that passed, or the smallest within a tenth of its time).`,
        ]),
    `Written to ${folder}${labels.length > 0 ? `, with ${labels.join(' and ')}` : ''}. Times are of one thread of this machine.`,
    '',
  ].join('\n');
}

function describeFile(file: ExportedFile): string[] {
  return [
    file.file,
    `${(file.bytes / 1e6).toFixed(2)} MB`,
    `${file.latency_ms.median.toFixed(1)} ms`,
    `${file.latency_ms.p95.toFixed(1)} ms`,
    percent(file.accuracy),
    percent(file.top_class_agreement),
    file.max_difference.toExponential(1),
  ];
}
