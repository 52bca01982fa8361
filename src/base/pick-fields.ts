// Parts of an object.

/** The object with those of its fields whose names are wanted. */
export const pickFields = <T extends object>(value: T, wanted: (name: keyof T) => boolean): Partial<T> =>
  Object.fromEntries(Object.entries(value).filter(([name]) => wanted(name as keyof T))) as Partial<T>;
