// The installed Chromium, without a window and without a network beyond this machine.
import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

/** Where distributions put it. */
const places = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];

/** The program that the environment variable CHROME_PATH names, or one where it is usually found; undefined when there is none. */
export function findChromium(): string | undefined {
  const { CHROME_PATH } = process.env;
  return (CHROME_PATH ? [CHROME_PATH] : places).find(path => existsSync(path));
}

/**
 * Starts Chromium.
 * @throws Error that says how to install it.
 */
export function launchChromium(): Promise<Browser> {
  const executablePath = findChromium();
  if (executablePath === undefined) {
    const { CHROME_PATH } = process.env;
    throw new Error(
      `There is no Chromium at ${CHROME_PATH ?? places.join(', ')}. Install it (Debian and Ubuntu: apt-get install chromium), or name it in CHROME_PATH.`,
    );
  }
  return chromium.launch({
    executablePath,
    // Containers run as root, which Chromium's sandbox refuses. The pictures of MediaPipe pass through WebGL.
    args: ['--no-sandbox', '--enable-unsafe-swiftshader', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1'],
  });
}
