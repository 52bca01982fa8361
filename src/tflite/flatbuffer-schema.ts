// What a flatbuffer schema is as data, and the TypeScript types of the tables that one describes.

/**
 * A field: its vtable slot, its type, and the value that an absent scalar has. A rare scalar is left out of the data when
 * it has that value.
 */
export type FieldSpec = readonly [slot: number, type: string, absent?: number | boolean | bigint, rare?: 'rare'];

/** Fields of every table. Types: a scalar, 'string', '[scalar]', '[string]', 'Table', '[Table]', or 'union Name'. */
export type Tables = Readonly<Record<string, Readonly<Record<string, FieldSpec>>>>;

/** One format. A union takes its slot, which holds the type id, and the next one, which holds the table. */
export interface Schema<T extends Tables = Tables> {
  /** What a file of this format is, for errors. */
  readonly what: string;
  /** The four characters at byte 4. */
  readonly identifier: string;
  readonly tables: T;
  /** By name of the union: the table behind each type id. */
  readonly unions: Readonly<Record<string, ReadonlyMap<number, keyof T & string>>>;
}

interface ScalarValues {
  bool: boolean;
  int8: number;
  uint8: number;
  int32: number;
  int64: bigint;
  uint32: number;
  uint64: number;
  float32: number;
}

interface OtherValues {
  string: string;
  '[string]': readonly string[];
  '[bool]': readonly boolean[];
  '[uint8]': Uint8Array;
  '[uint16]': Uint16Array;
  '[int32]': readonly number[];
  '[uint32]': readonly number[];
  '[int64]': readonly number[];
  '[float32]': readonly number[];
}

/** The value of a union: its type id and, when the schema knows the table, its fields. */
export interface UnionValue<N extends string = string> {
  readonly type: number;
  readonly table: N | null;
  readonly value: object;
}

type ValueOf<T extends Tables, V extends string> = V extends keyof ScalarValues
  ? ScalarValues[V]
  : V extends keyof OtherValues
    ? OtherValues[V]
    : V extends `union ${string}`
      ? UnionValue<keyof T & string>
      : V extends `[${infer N extends keyof T & string}]`
        ? readonly TableOf<T, N>[]
        : V extends keyof T
          ? TableOf<T, V>
          : never;

type TypeOf<T extends Tables, N extends keyof T, F extends keyof T[N]> = T[N][F] extends readonly [
  number,
  infer V,
  ...unknown[],
]
  ? V & string
  : never;
type ScalarFields<T extends Tables, N extends keyof T> = {
  [F in keyof T[N]]: TypeOf<T, N, F> extends keyof ScalarValues
    ? T[N][F] extends readonly [...unknown[], 'rare']
      ? never
      : F
    : never;
}[keyof T[N]];

/**
 * The contents of a table: scalars are always there (the default stands in for an absent one) unless they are rare, the
 * rest may be absent.
 */
export type TableOf<T extends Tables, N extends keyof T> = {
  readonly [F in ScalarFields<T, N>]: ValueOf<T, TypeOf<T, N, F>>;
} & {
  readonly [F in Exclude<keyof T[N], ScalarFields<T, N>>]?: ValueOf<T, TypeOf<T, N, F>> | undefined;
};
