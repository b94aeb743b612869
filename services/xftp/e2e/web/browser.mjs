// Does one task, as a page: page.html?task=NAME&parameters=JSON. It posts what it did, and the result, to where the page
// comes from. The page is of another origin than the relay, so the browser itself insists on preflights and CORS headers.

import { tasks } from './tasks.mjs';

const report = { steps: [], result: null, error: '' };

async function step(what, action) {
  const result = await action();
  report.steps.push(what);
  return result;
}

function explain(error) {
  return error ? `${error.stack ?? error}\n${explain(error.cause)}` : '';
}

const query = new URLSearchParams(location.search);
try {
  // A browser keeps connections to itself: all requests of a page to one relay share one.
  const surroundings = { open: () => fetch.bind(globalThis), separate: false, step };
  report.result = (await tasks[query.get('task')](surroundings, JSON.parse(query.get('parameters')))) ?? null;
} catch (error) {
  report.error = explain(error);
}
await fetch('/report', { method: 'POST', body: JSON.stringify(report) });
