// Says before anything is computed what of somebody's network cannot be trained, or cannot stand in a .tflite file.
import { gradients } from '../autodiff/gradients.ts';
import { GraftError } from '../base/errors.ts';
import { problemsOfLowering } from '../tflite/lower.ts';
import type { Backbone } from '../zoo/backbone.ts';
import { buildClassifierGraph, emptyHead } from '../zoo/graphs.ts';
import { stageNodes } from '../zoo/stages.ts';

/** Most nodes that are listed of each kind. */
const MAX_LISTED = 12;

/**
 * @param trainFrom first stage that is fine-tuned; undefined where none is.
 * @throws GraftError `unsupported-op` that lists every node by op and name.
 */
export function checkNetwork(backbone: Backbone, trainFrom: number | undefined): void {
  const trained = trainFrom === undefined ? [] : stageNodes(backbone).slice(trainFrom).flat();
  const untrained = trained.flatMap(({ op, name }) => {
    const gradient = gradients[op];
    return 'none' in gradient ? [`${op} ${name}: it has no gradient (${gradient.none})`] : [];
  });
  const unlowered = problemsOfLowering(buildClassifierGraph(backbone, emptyHead(backbone, 2), 'signed'));
  if (untrained.length + unlowered.length === 0) return;
  throw new GraftError(
    'unsupported-op',
    `${backbone.title} has nodes that cannot be used.${list('Not to be trained', untrained)}${list('Not to be exported to .tflite', unlowered)}`,
    untrained.length > 0 && unlowered.length === 0
      ? 'Freeze the stages that have them (--freeze), train the head only (--fine-tune-epochs 0), or choose another model.'
      : 'Choose another model, or export this one without these nodes.',
  );
}

function list(title: string, lines: readonly string[]): string {
  if (lines.length === 0) return '';
  const more = lines.length > MAX_LISTED ? `\n  and ${lines.length - MAX_LISTED} more` : '';
  return `\n  ${title}:${lines
    .slice(0, MAX_LISTED)
    .map(line => `\n  ${line}`)
    .join('')}${more}`;
}
