// A web server on this machine alone: files that a test has in memory, and folders of packages.
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';

/** What is served: bytes by their path, and folders by the first part of theirs. */
export interface Site {
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly folders: Readonly<Record<string, string>>;
}

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.png': 'image/png',
  '.wasm': 'application/wasm',
};

/** Starts a server on a free port. `url` has no slash at its end. */
export async function serveSite(site: Site): Promise<{ url: string; close: () => void }> {
  const server = createServer(async (request, response) => {
    const path = decodeURIComponent(new URL(request.url!, 'http://127.0.0.1').pathname);
    const bytes = await find(site, path).catch(() => undefined);
    response.writeHead(bytes ? 200 : 404, { 'content-type': types[extname(path)] ?? 'application/octet-stream' });
    response.end(bytes);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function find({ files, folders }: Site, path: string): Promise<Uint8Array | undefined> {
  const [, first, ...rest] = normalize(path).split('/');
  const folder = folders[first!];
  return files.get(path) ?? (folder === undefined ? undefined : readFile(join(folder, ...rest)));
}
