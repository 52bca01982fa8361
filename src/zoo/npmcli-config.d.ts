// The part of @npmcli/config that graft uses; the package has no types of its own.
declare module '@npmcli/config' {
  export default class Config {
    constructor(options: Record<string, unknown>);
    load(): Promise<void>;
    readonly flat: Record<string, unknown>;
  }
}
declare module '@npmcli/config/lib/definitions/index.js' {
  const npm: Record<string, unknown>;
  export default npm;
}
