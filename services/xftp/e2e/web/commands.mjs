// Commands and responses.
//
// Spec: xftp.md 8

import { Reader, concat, equal, ne8, opt, s8, text, u32, utf8 } from './bytes.mjs';
import { nonceSize } from './box.mjs';
import { decodePublic } from './keys.mjs';

export const FPUT = utf8('FPUT');
export const FDEL = utf8('FDEL');
export const FACK = utf8('FACK');
export const PING = utf8('PING');

// FNEW registers a chunk. Keys are in DER; password is null or bytes.
//
// Spec: xftp.md 8.1
export const FNEW = ({ senderKey, size, digest, recipientKeys, password = null }) =>
  concat(utf8('FNEW '), s8(senderKey), u32(size), s8(digest), ne8(recipientKeys, s8), opt(password, s8));

// Spec: xftp.md 8.2
export const FADD = (recipientKeys) => concat(utf8('FADD '), ne8(recipientKeys, s8));

// Spec: xftp.md 8.6
export const FGET = (key) => concat(utf8('FGET '), s8(key));

// RelayError is the relay's refusal, code its text on the wire.
export class RelayError extends Error {
  constructor(code) {
    super(code);
    this.name = 'RelayError';
    this.code = code;
  }
}

const codes = /^(BLOCK|SESSION|HANDSHAKE|CMD (UNKNOWN|SYNTAX|PROHIBITED|NO_AUTH|HAS_AUTH|NO_ENTITY|NO_QUEUE)|AUTH|SIZE|QUOTA|DIGEST|CRYPTO|NO_FILE|HAS_FILE|FILE_IO|TIMEOUT|INTERNAL|BLOCKED reason=(spam|content)(,notice=\{.*\})?)$/;

// parseError reads the code of a refusal.
//
// Spec: xftp.md 9.1
function parseError(parameters) {
  const code = text(parameters);
  if (!codes.test(code)) throw new Error('an error of unknown kind');
  return code.replace('NO_QUEUE', 'NO_ENTITY');
}

const parsers = {
  SIDS: (reader) => ({ senderId: reader.s8(), recipientIds: reader.ne8(reader.s8) }),
  RIDS: (reader) => ({ recipientIds: reader.ne8(reader.s8) }),
  FILE: (reader) => ({ key: decodePublic('X25519', reader.s8()), nonce: reader.take(nonceSize) }),
  ERR: (reader) => ({ code: parseError(reader.tail()) }),
};

// parseResponse returns a response: its tag and what belongs to it.
export function parseResponse(body) {
  const space = body.indexOf(0x20);
  const tag = text(space < 0 ? body : body.subarray(0, space));
  if (space < 0 && (tag === 'OK' || tag === 'PONG')) return { tag };
  if (space < 0 || !Object.hasOwn(parsers, tag)) throw new Error('a response of unknown kind');
  const reader = new Reader(body.subarray(space + 1));
  const response = { tag, ...parsers[tag](reader) };
  reader.end();
  return response;
}

// belongs reports whether a response of this tag may carry the entity id answered, to a command for asked.
//
// Spec: xftp.md 6
export function belongs(tag, asked, answered) {
  switch (tag) {
    case 'SIDS':
    case 'PONG':
      return answered.length === 0;
    case 'ERR':
      return answered.length === 0 || equal(asked, answered);
  }
  return answered.length > 0 && equal(asked, answered);
}
