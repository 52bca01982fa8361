// A process that fetches one file from the Hub of HF_ENDPOINT, to be killed: fetch-hub-file.ts REPO PATH
import { fetchHubFile } from '../../src/hub/fetch-file.ts';
import { parseRepo } from '../../src/hub/repo.ts';
import { readHubSettings } from '../../src/hub/settings.ts';
import { drain } from './reference.ts';

const [name, path] = process.argv.slice(2) as [string, string];
const wanted = { ...parseRepo('model', name), path, maxBytes: 2 ** 30 };
await drain(fetchHubFile(await readHubSettings(), wanted, 'file'));
