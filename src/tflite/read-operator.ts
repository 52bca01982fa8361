// Reads one operator of a .tflite file: one that graft makes itself, with typed options, or any other one by its name.
import { builtinName } from './builtin-operators.ts';
import type { KnownOperator, OtherOperator, TfliteOperator } from './model.ts';
import { operatorByCode, operators, type TableData, type TableName, tables } from './schema.ts';

/** What the caller has checked of an operator. */
export interface CheckedOperator {
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  readonly intermediates: readonly number[];
  /** Options of a CUSTOM operator, wherever the file keeps them. */
  readonly customOptions: Uint8Array | undefined;
}

/** The operator in its table and the table of its code. */
export function readOperator(
  table: TableData<'Operator'>,
  codeTable: TableData<'OperatorCode'>,
  { inputs, outputs, intermediates, customOptions }: CheckedOperator,
): TfliteOperator {
  // Old files have only the byte, new ones both; codes from 127 up are in the int32 alone.
  const code = Math.max(codeTable.deprecated_builtin_code, codeTable.builtin_code);
  const { mutating_variable_inputs: mutatingInputs, builtin_options: options, builtin_options_2: options2 } = table;
  const place = {
    version: codeTable.version,
    inputs,
    outputs,
    ...(intermediates.length > 0 && { intermediates }),
    ...(mutatingInputs?.length && { mutatingInputs }),
  };
  const op = operatorByCode(code);
  if (op) {
    const spec = operators[op];
    const found = options && options.type === spec.optionsType ? options.value : absentOptions(spec.options);
    return { op, ...place, options: found } as KnownOperator;
  }
  const name = builtinName(code);
  const { custom_code: customCode } = codeTable;
  return {
    op: 'OTHER',
    code,
    ...(name !== undefined && { name }),
    ...place,
    ...(options && { options }),
    ...(options2 && { options2 }),
    ...(customCode !== undefined && { customCode }),
    ...(customOptions && { customOptions }),
  } as OtherOperator;
}

/** An operator without options has the defaults of all its fields. */
function absentOptions(name: TableName): object {
  const defaults = Object.entries(tables[name] as Readonly<Record<string, readonly unknown[]>>)
    .filter(([, [, , absent, rare]]) => absent !== undefined && !rare)
    .map(([field, [, , absent]]) => [field, absent] as const);
  return Object.fromEntries(defaults);
}
