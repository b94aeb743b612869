// Connections of Node that requests are made on as a browser's fetch would.

import { once } from 'node:events';
import http2 from 'node:http2';

// Windows, in bytes, as large as browsers' are: with those of the protocol's defaults a chunk takes many round trips.
const streamWindow = 6 << 20;
const connectionWindow = 15 << 20;

// opened are the connections that closeAll closes.
const opened = new Set();

// open returns a fetch on a connection of its own, which is made with the first request. ca, in PEM, is whom to trust; tls
// are more options of the connection.
export function open(ca, tls = {}) {
  let connected = null;
  return async (url, options) => {
    connected ??= connect(new URL(url).origin, { ca, ...tls });
    return request(await connected, url, options);
  };
}

// connect returns a connection once it is made.
export async function connect(origin, tls) {
  const session = http2.connect(origin, { ...tls, settings: { initialWindowSize: streamWindow, enablePush: false } });
  opened.add(session);
  await once(session, 'connect');
  session.setLocalWindowSize(connectionWindow);
  return session;
}

// request makes a request and returns the response as fetch does: its body is still to be read.
export async function request(session, url, { method = 'GET', headers = {}, body = null } = {}) {
  const stream = session.request({ ':method': method, ':path': new URL(url).pathname, ...headers }, { endStream: body === null });
  const answered = once(stream, 'response');
  if (body !== null) stream.end(body);
  const [received] = await answered;
  return { status: received[':status'], headers: { get: (name) => received[name] ?? null }, body: stream };
}

export function closeAll() {
  for (const session of opened) session.destroy();
}
