// The labels file of the robot's own program: one line per class with its index, two spaces and its name.
import { GraftError } from '../base/errors.ts';

/**
 * The text of the file, e.g. `0  healthy\n1  unhealthy`: no line behind the last class, since the program refuses empty ones.
 * The program splits a line at its first blanks and looks for a name as it was typed on its command line.
 * @throws GraftError `bad-dataset` for names that it would read otherwise: blanks at an end, line breaks or other control
 * characters, nothing, or one name for two classes.
 */
export function robotLabels(classes: readonly string[]): string {
  for (const [index, name] of classes.entries()) {
    if (name === '' || name !== name.trim() || /[\p{Cc}\p{Zl}\p{Zp}]/u.test(name) || classes.indexOf(name) !== index) {
      throw new GraftError(
        'bad-dataset',
        `The class ${index} is called ${JSON.stringify(name)}, which the robot's labels file cannot say.`,
        'Rename its folder: one line, no blanks at the ends, unlike every other class.',
      );
    }
  }
  return classes.map((name, index) => `${index}  ${name}`).join('\n');
}
