#!/usr/bin/env node
console.log('own', process.argv.slice(2), process.cwd());
