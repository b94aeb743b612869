// The handshake of browsers: what is sent, what is received, and what has to be verified.
//
// Spec: xftp.md 5

import { Reader, concat, equal, ne8, opt, s16, s8, text, u16 } from './bytes.mjs';
import { certificateKey, readSignedKey } from './certificate.mjs';
import { decodePublic, sha256, verify } from './keys.mjs';

export const challengeSize = 32;
export const versions = { min: 1, max: 3 };

// The headers that tell a request of the handshake from a command, on a connection that other pages may have used.
//
// Spec: xftp.md 5.4
export const helloHeader = { 'xftp-web-hello': '1' };
export const handshakeHeader = { 'xftp-handshake': '1' };

export const clientHello = (challenge) => opt(challenge, s8);
export const clientHandshake = (version, fingerprint) => concat(u16(version), s8(fingerprint));

// HandshakeError is the word that a relay answers in place of what was asked for: SESSION or HANDSHAKE.
export class HandshakeError extends Error {
  constructor(word) {
    super(word);
    this.name = 'HandshakeError';
  }
}

const longestWord = 20;

// refuseWord throws a HandshakeError if the content of a block is a bare word.
//
// Spec: xftp.md 5.3
export function refuseWord(content) {
  if (content.length < longestWord && content.every((b) => (b >= 0x41 && b <= 0x5a) || b === 0x5f) && content.length > 0) {
    throw new HandshakeError(text(content));
  }
}

// parseServerHello reads the content of the relay's first block.
//
// Spec: xftp.md 5.2
export function parseServerHello(content) {
  const reader = new Reader(content);
  const hello = {
    minVersion: reader.u16(),
    maxVersion: reader.u16(),
    sessionId: reader.s8(),
    chain: reader.ne8(reader.s16),
    signedKey: reader.s16(),
    // A relay that knows nothing of browsers leaves the field out.
    proof: reader.remaining > 0 ? reader.s8() : new Uint8Array(),
  };
  if (hello.minVersion > hello.maxVersion) throw new Error('an impossible range of versions');
  return hello;
}

export function encodeServerHello(hello) {
  return concat(
    u16(hello.minVersion), u16(hello.maxVersion), s8(hello.sessionId), ne8(hello.chain, s16), s16(hello.signedKey), s8(hello.proof),
  );
}

// agreeVersion returns the highest version that both ranges have.
export function agreeVersion(relay, own = versions) {
  const version = Math.min(relay.max, own.max);
  if (version < relay.min || version < own.min) throw new Error('no common version');
  return version;
}

// verifyHello throws unless the relay is that of the fingerprint and has answered this challenge on this connection. It
// returns the relay's session key. A page cannot see the certificate of TLS, so this is all that it knows of the relay.
//
// Spec: xftp.md 5.3
export async function verifyHello(hello, challenge, fingerprint) {
  if (hello.chain.length < 2 || hello.chain.length > 4) throw new Error('a chain of the wrong length');
  if (!equal(await sha256(hello.chain[1]), fingerprint)) throw new Error('another identity');
  const identity = certificateKey(hello.chain[0]);
  if (!(await verify(identity, hello.proof, concat(challenge, hello.sessionId)))) throw new Error('the proof is wrong');
  const { key, signed, signature } = readSignedKey(hello.signedKey);
  if (!(await verify(identity, signature, signed))) throw new Error('the signature of the session key is wrong');
  return decodePublic('X25519', key);
}
