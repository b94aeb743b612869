// What only a program that is no browser can look at: headers of a preflight, the protocol and certificate of TLS.
//
// Spec: xftp.md 18.2

import { originOf, parseAddress } from './address.mjs';
import { Client } from './client.mjs';
import { check } from './conversation.mjs';
import { connect, open, request } from './connection.mjs';

async function text(body) {
  let all = '';
  for await (const part of body) all += part.toString();
  return all;
}

const preflightHeaders = {
  'access-control-allow-origin': '*',
  'access-control-allow-methods': 'POST, OPTIONS',
  'access-control-allow-headers': '*',
  'access-control-max-age': '86400',
};

// preflight asks as browsers ask before a request to another origin.
//
// Spec: xftp.md 4.4
async function preflight(session, origin) {
  const headers = { origin: 'https://page.example', 'access-control-request-method': 'POST', 'access-control-request-headers': 'xftp-web-hello' };
  const response = await request(session, origin + '/', { method: 'OPTIONS', headers });
  check(response.status === 200, 'the status of a preflight is 200');
  for (const [name, value] of Object.entries(preflightHeaders)) {
    check(response.headers.get(name) === value, `${name} is ${value}, not ${response.headers.get(name)}`);
  }
  check((await text(response.body)) === '', 'a preflight has no body');
}

// inspect looks at a relay from outside of its protocol.
export async function inspect({ ca, step }, { address }) {
  const { fingerprint, ...place } = parseAddress(address), origin = originOf(place);
  const session = await step('connect as the web certificate allows', () => connect(origin, { ca }));
  check(session.alpnProtocol === 'h2', 'the protocol is h2');
  check(session.socket.authorized, 'the certificate is valid');
  await step('preflight before the hello', () => preflight(session, origin));
  await step('the page that does not exist is 404', async () => {
    const response = await request(session, origin + '/no/such/page.html');
    check(response.status === 404, `the status is 404, not ${response.status}`);
    await text(response.body);
  });
  await step('preflight again', () => preflight(session, origin));
  await step('session ids of all lengths', () => sessionIds(ca, { origin, fingerprint }));
  await step('no certificate is valid for those who trust another authority', () => untrusted(origin));
  await step('without a server name there are no headers for browsers', () => withoutName(origin));
}

// sessionIds connects with other TLS than is agreed by itself, which changes the size of the session id.
//
// Spec: xftp.md 3.4
async function sessionIds(ca, relay) {
  for (const [tls, size] of [[{}, 32], [{ ciphers: 'TLS_AES_256_GCM_SHA384' }, 48], [{ maxVersion: 'TLSv1.2' }, 12]]) {
    const client = await Client.connect(open(ca, tls), relay);
    check(client.sessionId.length === size, `a session id of ${size} bytes, not ${client.sessionId.length}`);
    await client.ping();
  }
}

// untrusted expects that Node verifies certificates: were it not so, every other test would prove less.
async function untrusted(origin) {
  let refusal = null;
  await connect(origin, { ca: [] }).catch((error) => (refusal = error));
  check(refusal?.code === 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' || refusal?.code === 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
    `the certificate is refused, not ${refusal?.code}`);
}

// withoutName connects to an IP address, which is never sent as a server name: the relay then shows its own certificate,
// which no authority vouches for, and answers h2 with nothing.
//
// Spec: xftp.md 5.5
async function withoutName(origin) {
  const nameless = origin.replace(new URL(origin).hostname, '127.0.0.1');
  const session = await connect(nameless, { rejectUnauthorized: false });
  for (const method of ['OPTIONS', 'POST']) {
    const response = await request(session, nameless + '/', { method, body: Buffer.alloc(16384, '#') });
    check(response.status === 200 && (await text(response.body)) === '', `${method} gets an empty answer`);
    for (const name of [...Object.keys(preflightHeaders), 'access-control-expose-headers']) {
      check(response.headers.get(name) === null, `no ${name} for ${method}`);
    }
  }
}
