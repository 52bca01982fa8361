// What a command's code looks like to the table of commands.

/**
 * Runs a command.
 * @param values the options that the user gave, by camel-case key, beside the arguments by name.
 * @param json whether one JSON object is wanted on standard output.
 * @returns the exit status.
 */
export type CommandCode = (values: Readonly<Record<string, unknown>>, json: boolean) => Promise<number>;
