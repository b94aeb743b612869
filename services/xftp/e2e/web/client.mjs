// A client of one relay, as a page in a browser is one. How requests are made is given to it: fetch is the browser's own,
// or a function that takes and returns the same as far as is used here.
//
// Spec: xftp.md 14.3

import { blockSize, concat, equal, pad, unpad } from './bytes.mjs';
import { Box, tagSize } from './box.mjs';
import { decodeBlock, encodeBlock } from './block.mjs';
import { FACK, FADD, FDEL, FGET, FNEW, FPUT, PING, RelayError, belongs, parseResponse } from './commands.mjs';
import {
  agreeVersion, challengeSize, clientHandshake, clientHello, handshakeHeader, helloHeader, parseServerHello, refuseWord, verifyHello,
} from './handshake.mjs';
import { agree, encodePublic, generate, random, sha256, sign } from './keys.mjs';

const none = new Uint8Array();

// Body reads the body of a response in pieces of the reader's choice.
class Body {
  #parts;
  #rest = none;

  constructor(stream) {
    this.#parts = stream === null ? null : stream[Symbol.asyncIterator]();
  }

  // next returns at most n bytes, and none only at the end.
  async next(n) {
    while (this.#rest.length === 0 && this.#parts !== null) {
      const { value, done } = await this.#parts.next();
      if (done) this.#parts = null;
      else this.#rest = value;
    }
    const part = this.#rest.subarray(0, n);
    this.#rest = this.#rest.subarray(part.length);
    return part;
  }

  // take returns exactly n bytes.
  async take(n) {
    const parts = [];
    for (let left = n; left > 0; left -= parts.at(-1).length) {
      parts.push(await this.next(left));
      if (parts.at(-1).length === 0) throw new Error('the body is too short');
    }
    return concat(...parts);
  }

  // end refuses what is left.
  async end() {
    if ((await this.next(1)).length > 0) throw new Error('the body is too long');
  }
}

export class Client {
  #fetch;
  #origin;
  #sessionId = none;

  // relay has the origin, https://host:port, and the fingerprint.
  constructor(fetch, relay) {
    this.#fetch = fetch;
    this.#origin = relay.origin;
    this.fingerprint = relay.fingerprint;
  }

  // connect returns a client that has made its handshake.
  static async connect(fetch, relay) {
    const client = new Client(fetch, relay);
    await client.handshake();
    return client;
  }

  get sessionId() {
    return this.#sessionId;
  }

  // post makes a request and returns the body of its response.
  async post(body, headers = {}) {
    const response = await this.#fetch(this.#origin + '/', { method: 'POST', headers, body });
    if (response.status !== 200) throw new Error(`status ${response.status}`);
    return new Body(response.body);
  }

  // hello asks for the relay's hello and verifies it.
  //
  // Spec: xftp.md 5.3
  async hello() {
    const challenge = random(challengeSize);
    const body = await this.post(pad(clientHello(challenge)), helloHeader);
    const content = unpad(await body.take(blockSize));
    await body.end();
    refuseWord(content);
    const hello = parseServerHello(content);
    this.serverKey = await verifyHello(hello, challenge, this.fingerprint);
    this.version = agreeVersion({ min: hello.minVersion, max: hello.maxVersion });
    this.#sessionId = hello.sessionId;
    return hello;
  }

  // handshake does all that precedes commands.
  async handshake() {
    await this.hello();
    const body = await this.post(pad(clientHandshake(this.version, this.fingerprint)), handshakeHeader);
    const answer = await body.next(blockSize);
    if (answer.length === 0) return;
    refuseWord(unpad(concat(answer, await body.take(blockSize - answer.length))));
    throw new Error('an answer to the handshake');
  }

  // command sends a command, signed by the key unless that is null, with a chunk after it. It returns the response, which
  // has to be of the tag expected, and the body that follows it. A refusal is thrown as a RelayError.
  //
  // Spec: xftp.md 8.8
  async command(expected, { command, entityId = none, key = null, chunk = none }) {
    const signer = key === null ? null : (content) => sign(key, content);
    const block = await encodeBlock({ sessionId: this.#sessionId, entityId, command }, signer);
    const body = await this.post(concat(block, chunk));
    const transmission = decodeBlock(await body.take(blockSize), this.#sessionId);
    const response = parseResponse(transmission.body);
    if (!belongs(response.tag, entityId, transmission.entityId)) throw new Error('a response to another command');
    if (response.tag !== 'FILE') await body.end();
    if (response.tag === 'ERR') throw new RelayError(response.code);
    if (response.tag !== expected) throw new Error(`${response.tag} for an answer`);
    return { response, body };
  }

  async ping() {
    await this.command('PONG', { command: PING });
  }

  // create registers a chunk, whose sender and recipients have these key pairs.
  async create({ size, digest, sender, recipients, password = null }) {
    const recipientKeys = recipients.map((pair) => pair.publicKey);
    const command = FNEW({ senderKey: sender.publicKey, size, digest, recipientKeys, password });
    const { response } = await this.command('SIDS', { command, key: sender.privateKey });
    if (response.recipientIds.length !== recipients.length) throw new Error('another number of recipients');
    return { senderId: response.senderId, recipientIds: response.recipientIds };
  }

  async addRecipients(senderId, sender, recipients) {
    const command = FADD(recipients.map((pair) => pair.publicKey));
    const { response } = await this.command('RIDS', { command, entityId: senderId, key: sender.privateKey });
    if (response.recipientIds.length !== recipients.length) throw new Error('another number of recipients');
    return response.recipientIds;
  }

  async upload(senderId, senderKey, chunk) {
    await this.command('OK', { command: FPUT, entityId: senderId, key: senderKey, chunk });
  }

  // download returns the chunk of this size, in bytes, and SHA-256.
  //
  // Spec: xftp.md 8.6
  async download(recipientId, recipientKey, size, digest) {
    const own = await generate('X25519');
    const { response, body } = await this.command('FILE', { command: FGET(own.publicKey), entityId: recipientId, key: recipientKey });
    const box = new Box(await agree(own.privateKey, encodePublic('X25519', response.key)), response.nonce);
    const parts = [];
    for (let left = size; left > 0; left -= parts.at(-1).length) {
      parts.push(box.open(await body.next(left)));
      if (parts.at(-1).length === 0) throw new Error('the chunk is too short');
    }
    box.verify(await body.take(tagSize));
    await body.end();
    const chunk = concat(...parts);
    if (!equal(await sha256(chunk), digest)) throw new Error('another digest');
    return chunk;
  }

  async acknowledge(recipientId, recipientKey) {
    await this.command('OK', { command: FACK, entityId: recipientId, key: recipientKey });
  }

  async delete(senderId, senderKey) {
    await this.command('OK', { command: FDEL, entityId: senderId, key: senderKey });
  }
}
