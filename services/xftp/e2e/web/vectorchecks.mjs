// What the golden vectors say, a function for each file. Each throws at the first difference and returns how many cases
// it has compared. The README beside the vectors tells how to read them.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';

import * as bytes from './bytes.mjs';
import { concat, hex, pad, unhex, unpad, utf8 } from './bytes.mjs';
import { formatAddress, originOf, parseAddress } from './address.mjs';
import { authorized, decodeBlock, encodeBlock } from './block.mjs';
import { Box, hsalsa20, open, seal } from './box.mjs';
import { FACK, FADD, FDEL, FGET, FNEW, FPUT, PING, belongs, parseResponse } from './commands.mjs';
import { certificateKey } from './certificate.mjs';
import * as description from './description.mjs';
import { chooseChunks, decryptFile, encodeHeader, sealFile, singleChunk } from './file.mjs';
import * as handshake from './handshake.mjs';
import * as keys from './keys.mjs';

const unbase64 = (s) => new Uint8Array(Buffer.from(s, 'base64'));
const same = (got, want, what) => assert.equal(hex(got), want, what);
const runs = (list) => list.flatMap(([count, size]) => Array(count).fill(size));
const refused = (what, action) => assert.throws(action, undefined, what);
const count = (...lists) => lists.reduce((sum, list) => sum + list.length, 0);

// generated returns the bytes that a description of large data stands for.
function generated({ seed, length }) {
  const out = new Uint8Array(Math.ceil(length / 32) * 32), block = Buffer.concat([unhex(seed), Buffer.alloc(8)]);
  for (let i = 0; i < out.length / 32; i++) {
    block.writeUInt32BE(i, block.length - 4);
    out.set(createHash('sha256').update(block).digest(), 32 * i);
  }
  return out.subarray(0, length);
}

const list = (encode, all) => (value) => all(value.map(unhex), encode);
const maybe = (convert) => (value) => bytes.opt(value === null ? null : convert(value), bytes.s8);

// How each type of the encodings is written, and how it is read as the vectors show values.
const codecs = {
  word16: [bytes.u16, (r) => r.u16()],
  word32: [bytes.u32, (r) => r.u32()],
  int64: [(value) => bytes.i64(BigInt(value)), (r) => r.i64().toString()],
  bytes: [(value) => bytes.s8(unhex(value)), (r) => hex(r.s8())],
  large: [(value) => bytes.s16(unhex(value)), (r) => hex(r.s16())],
  tail: [unhex, (r) => hex(r.tail())],
  string: [(value) => bytes.s8(utf8(value)), (r) => bytes.text(r.s8())],
  'maybe bytes': [maybe(unhex), (r) => r.opt(() => hex(r.s8()))],
  'maybe string': [maybe(utf8), (r) => r.opt(() => bytes.text(r.s8()))],
  'list bytes': [list(bytes.s8, bytes.list8), (r) => r.list8(r.s8).map(hex)],
  'nonempty bytes': [list(bytes.s8, bytes.ne8), (r) => r.ne8(r.s8).map(hex)],
  'nonempty large': [list(bytes.s16, bytes.ne8), (r) => r.ne8(r.s16).map(hex)],
};

function encoding(v) {
  // XFTP's messages have no booleans, so there is no codec for them.
  const used = (c) => c.type !== 'bool';
  const encode = v.encode.filter(used), decode = v.decode.filter(used);
  for (const { type, value, hex: want } of encode) {
    const [write, read] = codecs[type];
    same(write(value), want, type);
    const reader = new bytes.Reader(unhex(want));
    assert.deepEqual(read(reader), value);
    reader.end();
  }
  for (const { type, hex: input, ok, value, consumed } of decode) {
    const reader = new bytes.Reader(unhex(input));
    const read = () => codecs[type][1](reader);
    if (!ok) refused(`${type} ${input}`, read);
    else assert.deepEqual([read(), reader.consumed], [value, consumed]);
  }
  assert.throws(() => bytes.s8(new Uint8Array(256)));
  assert.throws(() => bytes.s16(new Uint8Array(65536)));
  assert.throws(() => bytes.ne8([], bytes.s8));
  assert.throws(() => bytes.ne8(Array(256).fill(new Uint8Array()), bytes.s8));
  return count(encode, decode) + 4;
}

async function keysFile(v) {
  for (const c of v.ed25519) {
    const own = keys.encodePrivate('Ed25519', unhex(c.seed)), publicKey = unhex(c.publicSPKI), message = unhex(c.message);
    same(own, c.privatePKCS8);
    same(keys.decodePrivate('Ed25519', own), c.seed);
    same(keys.decodePublic('Ed25519', publicKey), c.public);
    same(keys.encodePublic('Ed25519', unhex(c.public)), c.publicSPKI);
    same(await keys.sign(own, message), c.signature);
    assert.equal(await keys.verify(publicKey, unhex(c.signature), message), true);
    assert.equal(await keys.verify(publicKey, unhex(c.tamperedSignature), message), false);
    assert.equal(await keys.verify(keys.encodePublic('Ed25519', unhex(c.otherPublic)), unhex(c.signature), message), false);
  }
  for (const c of v.x25519) same(keys.encodePrivate('X25519', unhex(c.private)), c.privatePKCS8);
  for (const c of v.dh) {
    const agree = (own, other) => keys.agree(keys.encodePrivate('X25519', unhex(own)), keys.encodePublic('X25519', unhex(other)));
    same(await agree(c.privateA, c.publicB), c.dhSecret);
    same(await agree(c.privateB, c.publicA), c.dhSecret);
  }
  for (const c of v.ed448) {
    assert.equal(await keys.verify(unhex(c.publicSPKI), unhex(c.signature), unhex(c.message)), true);
    assert.equal(await keys.verify(unhex(c.publicSPKI), unhex(c.tamperedSignature), unhex(c.message)), false);
  }
  for (const c of v.decode_errors) {
    const [algorithm, half] = c.decoder.split(' ');
    refused(c.why, () => (half === 'public' ? keys.decodePublic : keys.decodePrivate)(algorithm, unhex(c.hex)));
  }
  return count(v.ed25519, v.x25519, v.dh, v.ed448, v.decode_errors);
}

const commandOf = {
  FNEW: (c) => FNEW({
    senderKey: unhex(c.sndKey), size: c.size, digest: unhex(c.digest), recipientKeys: c.rcvKeys.map(unhex),
    password: c.auth === null ? null : unhex(c.auth),
  }),
  FADD: (c) => FADD(c.rcvKeys.map(unhex)),
  FGET: (c) => FGET(unhex(c.dhKey)),
  FPUT: () => FPUT,
  FDEL: () => FDEL,
  FACK: () => FACK,
  PING: () => PING,
};

function commands(v) {
  for (const c of v.commands) same(commandOf[c.command](c), c.hex, c.command);
  return v.commands.length;
}

// expected turns what the vectors expect of a response into what parseResponse returns.
function expected(e) {
  switch (e.type) {
    case 'FRSndIds':
      return { tag: 'SIDS', senderId: unhex(e.senderId), recipientIds: e.recipientIds.map(unhex) };
    case 'FRRcvIds':
      return { tag: 'RIDS', recipientIds: e.recipientIds.map(unhex) };
    case 'FRFile':
      return { tag: 'FILE', key: unhex(e.rcvDhKey), nonce: unhex(e.nonce) };
    case 'FROk':
      return { tag: 'OK' };
    case 'FRPong':
      return { tag: 'PONG' };
  }
  return { tag: 'ERR', code: [e.err.type, e.err.cmdErr, e.err.blockInfo].filter(Boolean).join(' ') };
}

function responses(v) {
  for (const c of v.responses) assert.deepEqual(parseResponse(unhex(c.hex)), expected(c.expect), c.name);
  for (const c of v.decode_errors) refused(c.name, () => parseResponse(unhex(c.hex)));
  return count(v.responses, v.decode_errors);
}

async function transmissions(v) {
  for (const c of v.sent) {
    const parts = { sessionId: unhex(c.sessionId), corrId: unhex(c.corrId), entityId: unhex(c.entityId), command: unhex(c.command) };
    same(authorized(...Object.values(parts)), c.signedBytes, c.name);
    const own = c.seed ? keys.encodePrivate('Ed25519', unhex(c.seed)) : null;
    const block = await encodeBlock(parts, own === null ? null : (content) => keys.sign(own, content));
    assert.deepEqual(block, unbase64(c.block_b64), c.name);
  }
  for (const c of v.received) {
    const t = decodeBlock(unbase64(c.block_b64), unhex(c.sessionId));
    same(concat(t.corrId, t.entityId, t.body), c.corrId + c.entityId + c.command, c.name);
    assert.deepEqual(parseResponse(t.body), expected(c.expect), c.name);
  }
  for (const c of v.received_errors) {
    refused(c.name, () => {
      const session = unhex(c.sessionId), t = decodeBlock(unbase64(c.block_b64), session);
      const response = parseResponse(t.body);
      assert.ok(belongs(response.tag, t.entityId, t.entityId));
    });
  }
  for (const c of v.padding) {
    assert.deepEqual(pad(unbase64(c.message_b64), c.size), unbase64(c.padded_b64));
    assert.deepEqual(unpad(unbase64(c.padded_b64)), unbase64(c.message_b64));
  }
  for (const c of v.padding_errors) {
    refused(c.name, () => (c.op === 'pad' ? pad(new Uint8Array(c.messageLength), c.size) : unpad(unhex(c.hex))));
  }
  return count(v.sent, v.received, v.received_errors, v.padding, v.padding_errors);
}

async function handshakeFile(v) {
  for (const c of v.client_hello) {
    const hello = handshake.clientHello(c.webChallenge === null ? null : unhex(c.webChallenge));
    same(hello, c.body);
    // A hello without a challenge is in the vectors as it is before padding.
    if (c.webChallenge !== null) assert.deepEqual(pad(hello), unbase64(c.httpBody_b64));
  }
  for (const c of v.client_handshake) {
    assert.deepEqual(pad(handshake.clientHandshake(c.version, unhex(c.keyHash))), unbase64(c.httpBody_b64));
  }
  for (const c of v.server_hello) await serverHello(c);
  for (const c of v.handshake_errors) {
    assert.throws(() => handshake.refuseWord(unpad(unbase64(c.block_b64))), { name: 'HandshakeError', message: c.error });
  }
  for (const c of v.server_hello_errors) refused(c.name, () => handshake.parseServerHello(unhex(c.body)));
  for (const c of v.version_agreement) {
    const range = ([min, max]) => ({ min, max });
    const agree = () => handshake.agreeVersion(range(c.server), range(c.client));
    if (c.agreed === null) assert.throws(agree);
    else assert.equal(agree(), c.agreed);
  }
  return count(v.client_hello, v.client_handshake, v.server_hello, v.handshake_errors, v.server_hello_errors, v.version_agreement);
}

async function serverHello(c) {
  const content = unpad(unbase64(c.block_b64)), hello = handshake.parseServerHello(content), want = c.expect;
  assert.deepEqual([hello.minVersion, hello.maxVersion], [want.minVersion, want.maxVersion], c.name);
  same(hello.sessionId, want.sessionId, c.name);
  assert.deepEqual(hello.chain.map(hex), want.certChain, c.name);
  same(hello.signedKey, want.signedKey, c.name);
  same(hello.proof, want.webIdentityProof ?? '', c.name);
  handshake.refuseWord(content);
  // Whatever follows the proof, and a missing proof, cannot come out again.
  const written = handshake.encodeServerHello(hello);
  if (!/ignored|no proof/.test(c.name)) assert.deepEqual(written, content, c.name);
  const verified = handshake.verifyHello(hello, unhex(c.webChallenge ?? ''), unhex(c.keyHash));
  if (want.clientAccepts) same(await verified, c.x25519Public, c.name);
  else await assert.rejects(verified, undefined, c.name);
}

async function identity(v) {
  for (const c of v.cases) {
    const hello = { chain: c.certChain.map(unhex), signedKey: unhex(c.signedKey), proof: unhex(c.proof), sessionId: unhex(c.sessionId) };
    const verified = handshake.verifyHello(hello, unhex(c.webChallenge), unhex(c.keyHash));
    if (c.valid) await verified;
    else await assert.rejects(verified, undefined, c.name);
  }
  return v.cases.length;
}

async function transportChunks(v) {
  for (const c of v.small) await transportChunk(c, unhex(c.plain), (sealed) => same(sealed, c.encrypted));
  for (const c of v.large) {
    await transportChunk(c, generated(c.plainData), async (sealed) => same(await keys.sha256(sealed), c.encryptedSHA256));
  }
  for (const c of v.errors) {
    const opened = () => open(unhex(c.dhSecret), unhex(c.nonce), unhex(c.encrypted));
    if (c.expectedDigest === null) refused(c.name, opened);
    else assert.notEqual(hex(await keys.sha256(opened())), c.expectedDigest, c.name);
  }
  for (const c of v.box) {
    same(hsalsa20(unhex(c.key), new Uint8Array(16)), c.keyAfterHSalsa20);
    same(tagFirst(unhex(c.key), unhex(c.nonce), unhex(c.message)), c.boxed);
    same(tagFirst(unhex(c.key), unhex(c.nonce), pad(unhex(c.message), c.paddedSize)), c.boxedPadded);
  }
  return count(v.small, v.large, v.errors, v.box);
}

async function transportChunk(c, plain, compare) {
  const own = keys.encodePrivate('X25519', unhex(c.clientPrivate)), server = keys.encodePublic('X25519', unhex(c.serverPublic));
  const secret = await keys.agree(own, server), nonce = unhex(c.nonce);
  same(secret, c.dhSecret);
  const box = new Box(secret, nonce);
  const parts = [];
  let at = 0;
  c.pieces.forEach((length, i) => {
    parts.push(box.seal(plain.subarray(at, (at += length))));
    if (c.cipherPieces) same(parts.at(-1), c.cipherPieces[i]);
  });
  const sealed = concat(...parts, box.tag());
  same(sealed.subarray(-16), c.tag);
  await compare(sealed);
  assert.deepEqual(open(secret, nonce, sealed), plain);
}

function tagFirst(key, nonce, message) {
  const sealed = seal(key, nonce, message);
  return concat(sealed.subarray(-16), sealed.subarray(0, -16));
}

async function files(v) {
  for (const c of v.headers) same(encodeHeader(c.fileName, c.fileExtra), c.hex);
  for (const c of v.small) {
    const secrets = { key: unhex(c.key), nonce: unhex(c.nonce) };
    const sealed = sealFile({ header: unhex(c.header), content: unhex(c.source), size: c.encryptedSize, ...secrets });
    same(sealed, c.encrypted);
    const file = decryptFile({ encrypted: sealed, ...secrets });
    assert.deepEqual([file.name, file.extra, hex(file.content)], [c.fileName, c.fileExtra, c.source]);
  }
  for (const c of v.real) await realFile(c);
  for (const c of v.errors) await assert.rejects(brokenFile(c), undefined, c.name);
  return count(v.headers, v.small, v.real, v.errors);
}

async function realFile(c) {
  const content = generated(c.sourceData), header = encodeHeader(c.fileName, c.fileExtra);
  assert.deepEqual(chooseChunks(header.length + content.length + 24), runs(c.chunkSizes));
  const sealed = sealFile({ header, content, key: unhex(c.key), nonce: unhex(c.nonce), size: c.encryptedSize });
  same(await keys.sha512(sealed), c.encryptedSHA512);
  for (const chunk of c.chunks) {
    same(await keys.sha256(sealed.subarray(chunk.offset, chunk.offset + chunk.size)), chunk.sha256);
  }
}

async function brokenFile(c) {
  if (!c.chunks) return sealFile({ header: encodeHeader(c.fileName ?? 'a'), content: new Uint8Array(100), key: new Uint8Array(32), nonce: new Uint8Array(24), size: 100 });
  const encrypted = concat(...c.chunks.map(unhex));
  assert.equal(encrypted.length, c.encryptedSize);
  return decryptFile({ encrypted, key: unhex(c.key), nonce: unhex(c.nonce) });
}

function chunkSizesFile(v) {
  for (const c of v.cases) {
    assert.deepEqual(chooseChunks(c.payloadSize), runs(c.chunkSizes), `${c.payloadSize}`);
    assert.equal(singleChunk(c.payloadSize), c.singleChunkSize);
  }
  return v.cases.length;
}

// described turns the description of a vector into one of ours.
const described = (d) => ({
  party: d.party, size: d.size, digest: unhex(d.digest), key: unhex(d.key), nonce: unhex(d.nonce), chunkSize: d.chunkSize,
  redirect: d.redirect && { size: d.redirect.size, digest: unhex(d.redirect.digest) },
  chunks: d.chunks.map((chunk) => ({
    number: chunk.chunkNo, size: chunk.chunkSize, digest: unhex(chunk.digest),
    replicas: chunk.replicas.map((r) => ({ server: r.server, id: unhex(r.replicaId), key: unhex(r.replicaKey) })),
  })),
});

function descriptions(v) {
  for (const c of v.descriptions) {
    assert.equal(description.formatDescription(described(c.description)), c.yaml, c.name);
    assert.deepEqual(description.parseDescription(c.yaml), described(c.parsed ?? c.description), c.name);
  }
  for (const c of v.decode) {
    const parse = () => description.parseDescription(c.yaml);
    if (c.validation === null) assert.deepEqual(parse(), described(c.description), c.name);
    else refused(c.name, parse);
  }
  for (const c of v.decode_errors) refused(c.name, () => description.parseDescription(c.yaml));
  for (const c of v.sizes) {
    assert.equal(description.formatSize(c.bytes), c.text);
    assert.equal(description.parseSize(c.text), c.bytes);
  }
  for (const c of v.base64url) {
    assert.equal(bytes.base64url(unhex(c.hex)), c.text);
    same(bytes.unbase64url(c.text), c.hex);
    same(bytes.unbase64url(c.alsoDecodes), c.hex);
  }
  return count(v.descriptions, v.decode, v.decode_errors, v.sizes, v.base64url);
}

async function links(v) {
  for (const c of v.fragments) {
    for (const fragment of [c.fragment, c.fragmentWithoutPadding, ...Object.values(c.otherFragments)]) {
      assert.equal(await description.decodeFragment(fragment), c.yaml, c.name);
    }
    assert.equal(await description.decodeFragment(await description.encodeFragment(c.yaml)), c.yaml);
    assert.equal(description.wantsRedirect(c.fragment, description.parseDescription(c.yaml)), c.usesRedirect, c.name);
  }
  for (const c of v.fragment_errors) {
    await assert.rejects(async () => description.parseDescription(await description.decodeFragment(c.fragment)), undefined, c.name);
  }
  for (const c of v.links) {
    const d = { chunks: [{ replicas: [{ server: c.server }] }] };
    assert.equal(description.linkOf(d, c.pagePath, c.fragment), c.link);
  }
  return count(v.fragments, v.fragment_errors, v.links);
}

function addresses(v) {
  for (const c of v.addresses) {
    const address = parseAddress(c.address);
    same(address.fingerprint, c.keyHash, c.address);
    assert.deepEqual([address.host, address.port, formatAddress(address), originOf(address)], [c.host, c.port, c.formatted, c.origin]);
  }
  for (const c of v.address_errors) refused(c.why, () => parseAddress(c.address));
  return count(v.addresses, v.address_errors);
}

// conversation reads a recorded conversation as the client reads it, up to the file that was downloaded.
async function conversation(v) {
  const recipient = description.parseDescription(v.recipientDescription);
  let downloaded = null;
  for (const { step, sessionId, request, response, server } of v.steps) {
    const asked = unbase64(request.body_b64), answered = unbase64(response.body_b64);
    if (step.startsWith('hello')) {
      const challenge = new bytes.Reader(unpad(asked));
      const hello = handshake.parseServerHello(unpad(answered));
      same(hello.sessionId, sessionId);
      await handshake.verifyHello(hello, challenge.opt(challenge.s8), unhex(v.serverKeyHash));
    } else if (step === 'handshake') {
      assert.equal(answered.length, 0);
    } else {
      const command = decodeBlock(asked.subarray(0, 16384), unhex(sessionId));
      const answer = decodeBlock(answered.subarray(0, 16384), unhex(sessionId));
      const parsed = parseResponse(answer.body);
      assert.ok(belongs(parsed.tag, command.entityId, answer.entityId), step);
      assert.equal(parsed.tag, { PING: 'PONG', FNEW: 'SIDS', FPUT: 'OK', FGET: 'FILE', FDEL: 'OK' }[step] ?? 'ERR');
      if (step === 'FGET') downloaded = await openRecorded(server, command, parsed, answered.subarray(16384));
    }
  }
  same(await keys.sha256(downloaded), hex(recipient.chunks[0].digest));
  const file = decryptFile({ encrypted: downloaded, key: recipient.key, nonce: recipient.nonce });
  assert.equal(file.name, v.fileName);
  assert.deepEqual(file.content, unbase64(v.source_b64));
  return v.steps.length;
}

// openRecorded decrypts a recorded download with the server's half of the agreement.
async function openRecorded(server, command, answer, sealed) {
  const asked = new bytes.Reader(command.body.subarray('FGET '.length)).s8();
  const secret = await keys.agree(keys.encodePrivate('X25519', unhex(server.ephemeralPrivate)), asked);
  same(answer.nonce, server.nonce);
  return open(secret, answer.nonce, sealed);
}

export const checks = {
  encoding, keys: keysFile, commands, responses, transmissions, handshake: handshakeFile, identity, transport_chunks: transportChunks,
  files, chunk_sizes: chunkSizesFile, descriptions, links, addresses, conversation,
};
