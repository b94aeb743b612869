// A whole conversation with a relay, from the first request on a connection to the deletion of the last file.
//
// Spec: xftp.md 18.2

import { blockSize, equal, pad, unpad } from './bytes.mjs';
import { originOf, parseAddress } from './address.mjs';
import { encodeBlock } from './block.mjs';
import { FNEW, PING } from './commands.mjs';
import { Client } from './client.mjs';
import { chunkSizes } from './file.mjs';
import { clientHandshake, clientHello, handshakeHeader, helloHeader, parseServerHello } from './handshake.mjs';
import { generate, random, sha256 } from './keys.mjs';
import { deleteFile, receiveLink, sendFile } from './transfer.mjs';

// check throws unless what is said is so.
export function check(isSo, what) {
  if (!isSo) throw new Error(`not so: ${what}`);
}

// refused expects an action to fail with this message, such as the code of a relay's refusal.
export async function refused(message, action) {
  try {
    await action();
  } catch (error) {
    if (error.message === message) return;
    throw new Error(`${message} was expected`, { cause: error });
  }
  throw new Error(`${message} was expected, and nothing was refused`);
}

// withCORS returns a fetch that insists on the headers that every answer to a browser has.
//
// Spec: xftp.md 4.4
export const withCORS = (fetch) => async (url, options) => {
  const response = await fetch(url, options);
  for (const name of ['access-control-allow-origin', 'access-control-expose-headers']) {
    check(response.headers.get(name) === '*', `${name} is *`);
  }
  return response;
};

// converse holds the conversation. open returns a fetch, which has a connection of its own if separate is true; otherwise
// all share the connection of a browser. step(what, action) tells what is done, and does it.
export async function converse({ open, separate, step }, { address }) {
  const parsed = parseAddress(address), relay = { origin: originOf(parsed), fingerprint: parsed.fingerprint };
  const first = withCORS(open());
  await beforeHello(first, relay, step);
  await handshakes(first, relay, step);
  const sender = await step('connect', () => Client.connect(first, relay));
  await step('ping', () => sender.ping());
  const recipient = await step('connect again', () => Client.connect(withCORS(open()), relay));
  check(equal(sender.sessionId, recipient.sessionId) !== separate, 'a session is that of a connection');
  for (const size of chunkSizes) await step(`a chunk of ${size} bytes`, () => life(sender, recipient, size));
  await step('errors leave the connection as it was', () => errors(sender, recipient));
  await files(open, address, step);
}

// beforeHello makes requests that a page makes on a connection that is new without its knowledge.
//
// Spec: xftp.md 5.4
async function beforeHello(fetch, relay, step) {
  const stranger = new Client(fetch, relay);
  await step('a command before the hello is refused with SESSION', () => refused('SESSION', () => stranger.ping()));
  await step('so is a handshake', () => refused('SESSION', () => shakeHands(stranger, relay.fingerprint, handshakeHeader)));
}

// shakeHands answers the relay's hello, with this fingerprint and these headers.
async function shakeHands(client, fingerprint, headers, version = 3) {
  const body = await client.post(pad(clientHandshake(version, fingerprint)), headers);
  const answer = await body.next(blockSize);
  if (answer.length > 0) throw new Error(new TextDecoder().decode(unpad(answer)));
}

async function handshakes(fetch, relay, step) {
  const client = new Client(fetch, relay), another = random(32);
  await step('a hello that is none is refused with HANDSHAKE', () =>
    refused('HANDSHAKE', async () => checkWord(await client.post(pad(new Uint8Array([0x31, 4, 1, 2, 3, 4])), helloHeader))));
  await step('the relay of another fingerprint is refused', () =>
    refused('another identity', () => new Client(fetch, { ...relay, fingerprint: another }).hello()));
  await step('the hello proves the identity', () => client.hello());
  await step('a handshake with another fingerprint is refused with HANDSHAKE', () =>
    refused('HANDSHAKE', () => shakeHands(client, another, handshakeHeader)));
  await step('a handshake with version 4 is refused with HANDSHAKE', () =>
    refused('HANDSHAKE', () => shakeHands(client, relay.fingerprint, handshakeHeader, 4)));
  await step('version 1, and no header of the handshake', () => shakeHands(client, relay.fingerprint, {}, 1));
  await step('ping in version 1', () => client.ping());
  await step('a second hello has the same session and key', async () => {
    const { sessionId, serverKey } = client;
    await client.handshake();
    check(equal(client.sessionId, sessionId), 'the session is the same');
    check(equal(client.serverKey, serverKey), 'the session key is the same');
    await client.ping();
  });
  await step('a hello without a challenge has no proof', async () => {
    const body = await client.post(pad(clientHello(null)), helloHeader);
    check(parseServerHello(unpad(await body.take(blockSize))).proof.length === 0, 'the proof is empty');
  });
}

// checkWord throws the word in a body.
async function checkWord(body) {
  throw new Error(new TextDecoder().decode(unpad(await body.take(blockSize))));
}

// newChunk registers a chunk of this size for one recipient.
async function newChunk(client, size) {
  const chunk = { body: random(size), sender: await generate('Ed25519'), recipient: await generate('Ed25519') };
  chunk.digest = await sha256(chunk.body);
  const ids = await client.create({ size, digest: chunk.digest, sender: chunk.sender, recipients: [chunk.recipient] });
  return { ...chunk, id: ids.senderId, recipientId: ids.recipientIds[0] };
}

// life is that of a chunk: registered, uploaded, downloaded by two recipients on another connection, acknowledged by one
// of them, deleted.
async function life(sender, recipient, size) {
  const chunk = await newChunk(sender, size), second = await generate('Ed25519');
  const [secondId] = await sender.addRecipients(chunk.id, chunk.sender, [second]);
  const get = (id, pair) => recipient.download(id, pair.privateKey, size, chunk.digest);
  await refused('NO_FILE', () => get(secondId, second));
  await sender.upload(chunk.id, chunk.sender.privateKey, chunk.body);
  // A repeated upload succeeds whatever it contains, and changes nothing.
  await sender.upload(chunk.id, chunk.sender.privateKey, random(size));
  for (const [id, pair] of [[chunk.recipientId, chunk.recipient], [secondId, second]]) {
    check(equal(await get(id, pair), chunk.body), 'what was uploaded is downloaded');
  }
  await recipient.acknowledge(chunk.recipientId, chunk.recipient.privateKey);
  await refused('AUTH', () => get(chunk.recipientId, chunk.recipient));
  await refused('AUTH', () => recipient.acknowledge(chunk.recipientId, chunk.recipient.privateKey));
  check(equal(await get(secondId, second), chunk.body), 'another recipient is not affected');
  await sender.delete(chunk.id, chunk.sender.privateKey);
  await refused('AUTH', () => get(secondId, second));
  await refused('AUTH', () => sender.delete(chunk.id, chunk.sender.privateKey));
}

// errors provokes refusals, of which the connection must be as usable as before: page and relay share it with others.
async function errors(sender, recipient) {
  const size = chunkSizes[0], chunk = await newChunk(sender, size), key = chunk.sender.privateKey;
  await refused('SIZE', () => newChunk(sender, 96 << 10));
  await refused('SIZE', () => sender.upload(chunk.id, key, chunk.body.subarray(1)));
  await refused('SIZE', () => sender.upload(chunk.id, key, new Uint8Array(size + 1)));
  await refused('DIGEST', () => sender.upload(chunk.id, key, random(size)));
  await refused('AUTH', () => sender.upload(chunk.recipientId, key, chunk.body));
  await refused('AUTH', () => sender.upload(chunk.id, chunk.recipient.privateKey, chunk.body));
  await refused('AUTH', () => recipient.download(random(16), chunk.recipient.privateKey, size, chunk.digest));
  await refused('CMD NO_AUTH', () => sender.command('SIDS', { command: FNEW({ senderKey: chunk.sender.publicKey, size, digest: chunk.digest, recipientKeys: [chunk.recipient.publicKey] }) }));
  await refused('CMD UNKNOWN', () => sender.command('OK', { command: new TextEncoder().encode('FEED') }));
  await sender.upload(chunk.id, key, chunk.body);
  const get = (digest) => recipient.download(chunk.recipientId, chunk.recipient.privateKey, size, digest);
  await refused('another digest', () => get(random(32)));
  await get(chunk.digest);
  await sender.delete(chunk.id, key);
  await sender.ping();
  await refused('SESSION', () => foreignSession(sender));
}

// foreignSession sends a command of another session, and throws the relay's refusal without asking whose it is.
async function foreignSession(client) {
  const body = await client.post(await encodeBlock({ sessionId: random(client.sessionId.length), command: PING }));
  const content = unpad(await body.take(blockSize));
  throw new Error(new TextDecoder().decode(content.subarray(-'SESSION'.length)));
}

// files sends a file of several chunks, with and without a redirect, receives it by its link, and deletes it.
async function files(open, address, step) {
  const content = random(5_000_000), name = 'a file 文件.bin';
  for (const redirect of [false, true]) {
    const how = redirect ? 'with a redirect' : 'without a redirect';
    const { link, senders } = await step(`send a file ${how}`, () => sendFile(withCORS(open()), address, { name, content }, redirect));
    await step(`receive it by its link ${how}`, async () => {
      const file = await receiveLink(withCORS(open()), link);
      check(file.name === name && equal(file.content, content) && file.redirected === redirect, 'it is the same file');
    });
    await step('delete it', async () => {
      for (const d of senders) await deleteFile(withCORS(open()), d);
      await refused('AUTH', () => receiveLink(open(), link));
    });
  }
}
