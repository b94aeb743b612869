// Does one task, as Node: node node.mjs CA-FILE TASK PARAMETERS-AS-JSON. It prints a line for each step and, last, the
// result as JSON; the exit code tells whether all went well.

import { readFile } from 'node:fs/promises';
import process from 'node:process';

import { closeAll, open } from './connection.mjs';
import { inspect } from './preflight.mjs';
import { tasks } from './tasks.mjs';

async function step(what, action) {
  const result = await action();
  console.log(`ok: ${what}`);
  return result;
}

const [caFile, task, parameters] = process.argv.slice(2);
const ca = await readFile(caFile, 'utf8');
try {
  const surroundings = { open: () => open(ca), separate: true, ca, step };
  const result = await { ...tasks, inspect }[task](surroundings, JSON.parse(parameters));
  console.log(JSON.stringify(result ?? null));
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  closeAll();
}
