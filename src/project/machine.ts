// What a run was made with: for args.json, so that a figure can be compared with another one.
import { readFileSync } from 'node:fs';
import { arch, availableParallelism, cpus, platform, totalmem } from 'node:os';

interface PackageFile {
  readonly version: string;
  readonly dependencies: Readonly<Record<string, string>>;
}

function readPackage(): PackageFile {
  return JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as PackageFile;
}

/** Version of graft. */
export function packageVersion(): string {
  return readPackage().version;
}

/** Version of a package that graft is built on. */
export function dependencyVersion(name: string): string {
  return readPackage().dependencies[name]!;
}

/** Versions of Node and of what computes, and the machine without its name. */
export function describeMachine() {
  const { version, dependencies } = readPackage();
  return {
    versions: {
      graft: version,
      node: process.versions.node,
      'onnxruntime-node': dependencies['onnxruntime-node'],
      '@litertjs/core': dependencies['@litertjs/core'],
      sharp: dependencies.sharp,
    },
    machine: {
      platform: platform(),
      arch: arch(),
      cpu: cpus()[0]?.model.trim() ?? 'unknown',
      cores: availableParallelism(),
      memory_gb: Math.round(totalmem() / 2 ** 30),
    },
  };
}
