// Starts Google's LiteRT (WebAssembly with XNNPACK) in plain Node; its package is made for browsers.
// One runtime per thread, made on first use. Nothing stays in the global scope.
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { compileFunction } from 'node:vm';
import { GraftError } from '../base/errors.ts';

/** The package's own functions, once its runtime is up. */
export type LiteRtCore = typeof import('@litertjs/core');

/** A running instance. */
export interface LiteRtRuntime {
  readonly core: LiteRtCore;
  /** Bytes of memory that the instance holds. It grows, and never shrinks. */
  memoryBytes(): number;
  /** The warnings and errors that the runtime printed since the last call. */
  takeComplaints(): string[];
}

/** What Emscripten's factory takes and gives, as far as it matters here. */
interface WasmModule {
  readonly HEAPU8: Uint8Array;
}
type ModuleFactory = (options: {
  print: (line: string) => void;
  printErr: (line: string) => void;
}) => Promise<WasmModule>;

/** Most lines of complaint that are kept. */
const MAX_COMPLAINTS = 20;

const require = createRequire(import.meta.url);
let running: Promise<LiteRtRuntime> | undefined;

/** The runtime of this thread. Throws GraftError `bad-model` when it cannot start. */
export function startLiteRt(): Promise<LiteRtRuntime> {
  running ??= start().catch(error => {
    running = undefined;
    throw new GraftError(
      'bad-model',
      `LiteRT could not be started: ${error instanceof Error ? error.message : String(error)}`,
      'Install graft again; Node 20 or later with WebAssembly SIMD is needed.',
      error,
    );
  });
  return running;
}

/** Most models of a crashed runtime. */
const MAX_LOST_MODELS = 10_000;

/** Forgets a runtime that has crashed: its models count as deleted, and the next use starts a fresh one. */
export async function dropLiteRt(): Promise<void> {
  const runtime = await running?.catch(() => undefined);
  running = undefined;
  // Freeing memory in a crashed instance can fail, and each failure ends the sweep at the model it has just marked.
  for (let i = 0; i < MAX_LOST_MODELS; i++) {
    try {
      runtime?.core.unloadLiteRt();
      return;
    } catch {}
  }
}

async function start(): Promise<LiteRtRuntime> {
  const core = await import('@litertjs/core');
  const folder = join(dirname(require.resolve('@litertjs/core')), '..', 'wasm');
  // The faster build wants relaxed SIMD, which Node has from version 22 on.
  const relaxed = await core.supportsFeature('relaxedSimd');
  const file = join(folder, relaxed ? 'litert_wasm_internal.js' : 'litert_wasm_compat_internal.js');
  const factory = await loadFactory(file);
  let complaints: string[] = [];
  const module = await factory({
    print: () => {},
    printErr: line => {
      if (isComplaint(line) && complaints.length < MAX_COMPLAINTS) complaints.push(line);
    },
  });
  await withBrowserGlobals(module, () => core.loadLiteRt(file));
  complaints = [];
  return {
    core,
    memoryBytes: () => module.HEAPU8.byteLength,
    takeComplaints: () => complaints.splice(0),
  };
}

/** Warnings and errors, but for the one about special hardware that every start gives. */
const isComplaint = (line: string): boolean => /^(WARNING|ERROR)/.test(line) && !line.includes('npu_registry');

/** The script is CommonJS inside a package of ES modules, so that neither `import` nor `require` loads it. */
async function loadFactory(file: string): Promise<ModuleFactory> {
  const script = await readFile(file, 'utf8');
  const names = ['module', 'exports', 'require', '__filename', '__dirname'];
  const module: { exports: unknown } = { exports: {} };
  compileFunction(script, names, { filename: file })(module, module.exports, require, file, dirname(file));
  return module.exports as ModuleFactory;
}

/**
 * Runs `load` with the few globals of a browser that the package asks for: a script loader and the factory that the
 * script would have left behind, and a GPU that is not there. Everything slow is done before, so that they last for a
 * few turns of the microtask queue: no other code of the program can run and see them.
 */
async function withBrowserGlobals(module: WasmModule, load: () => Promise<unknown>): Promise<void> {
  const adapter = { limits: {}, features: new Set<string>(), requestDevice: async () => null };
  const fakes: Readonly<Record<string, unknown>> = {
    self: { ModuleFactory: async () => module },
    importScripts: () => {},
    navigator: { gpu: { requestAdapter: async () => adapter } },
  };
  const before = Object.keys(fakes).map(name => [name, Object.getOwnPropertyDescriptor(globalThis, name)] as const);
  for (const [name, value] of Object.entries(fakes)) {
    Object.defineProperty(globalThis, name, { configurable: true, writable: true, value });
  }
  try {
    await load();
  } finally {
    for (const [name, descriptor] of before) {
      if (descriptor) Object.defineProperty(globalThis, name, descriptor);
      else Reflect.deleteProperty(globalThis, name);
    }
  }
}
