// The command line: rows become commander commands, errors become one sentence and an exit status.
import { readFileSync } from 'node:fs';
import { Argument, Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { exitStatus, explainSystemError, GraftError } from '../base/errors.ts';
import { type NumberSetting, outOfRange } from '../project/setting-ranges.ts';
import { type CommandRow, commands, type OptionRow } from './commands.ts';
import { paintError } from './paint.ts';
import { printableLines } from './text.ts';

/** Runs `graft` with the words after it; returns the exit status. */
export async function main(words: readonly string[]): Promise<number> {
  let status = 0;
  // A reader that has seen enough (| head) is no error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? status : 1));
  const program = makeProgram(async (row, values, json) => {
    const run = await row.load();
    status = await run(values, json);
  });
  if (words.length === 0) {
    program.outputHelp();
    return 0;
  }
  try {
    await program.parseAsync([...words], { from: 'user' });
    return status;
  } catch (error) {
    if (error instanceof CommanderError) {
      // Commander has printed its sentence, or the help that was asked for.
      return error.exitCode === 0 ? 0 : 2;
    }
    const known = explainSystemError(error, (error as NodeJS.ErrnoException | undefined)?.path ?? 'A file');
    printError(known);
    const status = exitStatus(known);
    // Whatever an interrupted verb has left running (a download) must not keep the terminal waiting.
    if (status === 130) process.exit(status);
    return status;
  }
}

/** Commander's sentences repeat words of the command line. */
const outputError = (message: string, write: (text: string) => void): void =>
  write(printableLines(message.replace(/^error: /, 'graft: ')));

type Run = (row: CommandRow, values: Readonly<Record<string, unknown>>, json: boolean) => Promise<void>;

function makeProgram(run: Run): Command {
  const program = new Command('graft')
    .description('Photos in folders in, a proven .tflite image classifier out.')
    .version(readVersion(), '--version', 'print the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand(false)
    .showHelpAfterError('Try: graft --help')
    .configureHelp({ sortOptions: false })
    .configureOutput({ outputError })
    .exitOverride();
  for (const row of commands) program.addCommand(makeCommand(row, run));
  program.addHelpText(
    'after',
    '\nExamples:\n  graft demo\n  graft train ./leaves\n  graft predict runs/train/model.tflite photo.jpg\n',
  );
  return program;
}

function makeCommand(row: CommandRow, run: Run): Command {
  const command = new Command(row.name)
    .summary(row.summary)
    .description(`${row.summary[0]!.toUpperCase()}${row.summary.slice(1)}.`)
    .helpOption('-h, --help', 'show this help')
    .showHelpAfterError(`Try: graft ${row.name} --help`)
    .configureOutput({ outputError })
    .exitOverride();
  for (const argument of row.arguments) {
    const words = argument.many ? `${argument.name}...` : argument.name;
    command.addArgument(new Argument(argument.optional ? `[${words}]` : `<${words}>`, argument.help));
  }
  for (const option of row.options) command.addOption(makeOption(option));
  command.addHelpText('after', `\nExamples:\n${row.examples.map(example => `  ${example}`).join('\n')}\n`);
  command.action(async (...received: unknown[]) => {
    const { json, ...options } = command.opts() as Record<string, unknown>;
    const named = Object.fromEntries(row.arguments.map(({ name }, i) => [name, received[i]]));
    await run(row, { ...options, ...named }, json === true);
  });
  return command;
}

function makeOption({ flag, kind, value, help, units }: OptionRow): Option {
  if (kind === 'flag') return new Option(`--${flag}`, help);
  const option = new Option(`--${flag} <${value}>`, help);
  return kind === 'text'
    ? option
    : option.argParser(text => parseNumber(text, option.attributeName() as NumberSetting, units));
}

function parseNumber(text: string, name: NumberSetting, units: OptionRow['units'] = {}): number {
  const unit = Object.keys(units).find(name => text.toLowerCase().endsWith(name.toLowerCase())) ?? '';
  const digits = text.slice(0, text.length - unit.length).trim();
  const value = digits === '' ? Number.NaN : Number(digits) * (units[unit] ?? 1);
  const problem = outOfRange(name, value);
  if (problem) throw new InvalidArgumentError(`${problem}${describeUnits(Object.keys(units))}`);
  return value;
}

/** " Units: ms (without one, too), s."; nothing where a number has none. */
function describeUnits([own, ...others]: readonly string[]): string {
  return own === undefined ? '' : ` Units: ${[`${own} (without one, too)`, ...others].join(', ')}.`;
}

/** Prints an error for a person: no stack, unless the error is a defect of graft. */
function printError(error: unknown): void {
  if (error instanceof GraftError) {
    const text = error.hint ? `${error.message}\n${error.hint}` : error.message;
    process.stderr.write(`${paintError('red', 'graft:')} ${printableLines(text)}\n`);
    return;
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(
    `${paintError('red', 'graft:')} This is a defect in graft; please report it with these lines.\n${printableLines(stack)}\n`,
  );
}

function readVersion(): string {
  const file = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
