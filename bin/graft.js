#!/usr/bin/env node
// Starts the command line; everything is in dist/, which `npm ci` builds.
import { main } from '../dist/cli/main.js';

process.exitCode = await main(process.argv.slice(2));
