// JSON files that anybody may have edited: objects of unknown fields, and nothing where there is none.

/** An object of unknown fields. */
export type Fields = Readonly<Record<string, unknown>>;

/** A value as an object; an empty one where it is none. */
export const fieldsOf = (value: unknown): Fields => (typeof value === 'object' && value !== null ? { ...value } : {});

/** The object in a JSON text; an empty one where it holds none. */
export function parseFields(text: string): Fields {
  try {
    return fieldsOf(JSON.parse(text));
  } catch {
    return {};
  }
}
