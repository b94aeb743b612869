// Transmissions: what commands and responses travel in.
//
// Spec: xftp.md 6

import { Reader, concat, equal, pad, s16, s8, u8, unpad } from './bytes.mjs';
import { refuseWord } from './handshake.mjs';

const none = new Uint8Array();

// authorized returns the part of a transmission that a signature covers.
//
// Spec: xftp.md 7.2
export const authorized = (sessionId, corrId, entityId, command) =>
  concat(s8(sessionId), s8(corrId), s8(entityId), command);

// encodeBlock returns the block of one transmission, signed by sign unless that is null.
export async function encodeBlock({ sessionId, corrId = none, entityId = none, command }, sign = null) {
  const content = authorized(sessionId, corrId, entityId, command);
  const authorization = sign === null ? none : await sign(content);
  return pad(concat(u8(1), s16(concat(s8(authorization), content))));
}

// decodeBlock returns the transmission in a block of the relay, which has to be of this session.
export function decodeBlock(block, sessionId) {
  const content = unpad(block);
  refuseWord(content);
  const batch = new Reader(content);
  if (batch.u8() !== 1) throw new Error('not one transmission');
  const reader = new Reader(batch.s16());
  batch.end();
  const transmission = { authorization: reader.s8(), sessionId: reader.s8(), corrId: reader.s8(), entityId: reader.s8(), body: reader.tail() };
  if (!equal(transmission.sessionId, sessionId)) throw new Error('a transmission of another session');
  return transmission;
}
