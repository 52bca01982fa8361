// A small HTTP proxy on this computer, as schools have them: it opens tunnels, with or without a password, or refuses to.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { TLSSocket } from 'node:tls';

/** How a proxy behaves. */
export interface ProxyHabits {
  /** `user:password`; nobody else is let through. */
  readonly login?: string;
  /** Answers every tunnel with this status. */
  readonly refuse?: number;
  /** Where a host and port that do not exist are: a port of this computer. */
  readonly ports?: Readonly<Record<string, number>>;
}

/** The server. */
export interface ProxyServer {
  readonly port: number;
  /** Hosts and ports that tunnels were opened to, in order. */
  readonly tunnels: string[];
  /** Requests that came without a tunnel. */
  readonly others: string[];
}

const pem = (name: string) => readFileSync(new URL(`../fixtures/tls/${name}`, import.meta.url));

/** The file with the certificate of hub.example, which nobody trusts who is not told to. */
export const CERTIFICATE = new URL('../fixtures/tls/hub-example.pem', import.meta.url);

/** Starts a proxy that is gone when the test ends. To a server behind port 443 it speaks TLS itself, as hub.example. */
export async function startProxy(
  test: TestContext,
  { login, refuse, ports = {} }: ProxyHabits = {},
): Promise<ProxyServer> {
  const tunnels: string[] = [];
  const others: string[] = [];
  const sockets = new Set<Socket>();
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    return socket;
  };
  const server = createServer((request, response) => {
    others.push(`${request.method} ${request.url}`);
    response.writeHead(400).end();
  });
  server.on('connect', (request, client: Socket) => {
    keep(client);
    const target = request.url!;
    const wanted = login && `Basic ${Buffer.from(login).toString('base64')}`;
    const status = wanted && request.headers['proxy-authorization'] !== wanted ? 407 : refuse;
    if (status) {
      client.end(`HTTP/1.1 ${status} No\r\nProxy-Authenticate: Basic realm="school"\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    tunnels.push(target);
    const [host, port] = target.split(':') as [string, string];
    const far = keep(connect(ports[target] ?? Number(port), ports[target] ? '127.0.0.1' : host));
    far.on('connect', () => {
      client.write('HTTP/1.1 200 Connection Established\r\n\r\n');
      const near = port === '443' ? keep(openTls(client)) : client;
      near.pipe(far).pipe(near);
      near.on('close', () => far.end());
      far.on('close', () => near.end());
    });
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  test.after(() => {
    for (const socket of sockets) socket.destroy();
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, tunnels, others };
}

const openTls = (client: Socket): Socket =>
  new TLSSocket(client, { isServer: true, cert: pem('hub-example.pem'), key: pem('hub-example-key.pem') });
