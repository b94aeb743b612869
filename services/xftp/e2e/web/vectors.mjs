// Checks the codec and the cryptography against the golden vectors: node vectors.mjs DIRECTORY. It prints a line per file;
// the exit code tells.

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';

import { checks } from './vectorchecks.mjs';

const directory = process.argv[2];
for (const [name, check] of Object.entries(checks)) {
  const vectors = JSON.parse(await readFile(path.join(directory, `${name}.json`), 'utf8'));
  console.log(`${name}: ${await check(vectors)} checks`);
}
