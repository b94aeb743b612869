// The little of DER that is needed to read certificates and signed keys.

import { Reader, equal, unhex } from './bytes.mjs';

const sequence = 0x30;
const bitString = 0x03;
const version = 0xa0; // the first field of a certificate, when it is there

// readElement returns the next element: its tag, content, and the whole of it in DER.
function readElement(reader, all) {
  const start = reader.consumed;
  const tag = reader.u8();
  let length = reader.u8();
  if (length > 0x82) throw new Error('an element of 64 KiB and more');
  if (length === 0x80) throw new Error('an element of unknown length');
  if (length === 0x81) length = reader.u8();
  else if (length === 0x82) length = reader.u16();
  return { tag, content: reader.take(length), der: all.subarray(start, reader.consumed) };
}

// readElements returns the elements that bytes consist of.
function readElements(bytes) {
  const reader = new Reader(bytes);
  const elements = [];
  while (reader.remaining > 0) elements.push(readElement(reader, bytes));
  return elements;
}

// readSequence returns the elements of a SEQUENCE that is all of der.
function readSequence(der) {
  const [only, ...more] = readElements(der);
  if (only?.tag !== sequence || more.length > 0) throw new Error('not a SEQUENCE');
  return readElements(only.content);
}

// certificateKey returns the public key, in DER, of a certificate in DER.
export function certificateKey(certificate) {
  const fields = readSequence(readSequence(certificate)[0].der);
  // serial number, signature algorithm, issuer, validity, subject, and then the key
  return fields[fields[0].tag === version ? 6 : 5].der;
}

const algorithms = [unhex('300506032b6570'), unhex('300506032b6571')];

// readSignedKey takes a key with its signature apart: the key in DER, the bytes that are signed, and the signature. The
// key is in a SEQUENCE of its own or, as other clients allow too, bare.
//
// Spec: xftp.md 5.2
export function readSignedKey(der) {
  const parts = readSequence(der);
  const [signed, algorithm, signature] = parts;
  const wellFormed = parts.length === 3 && algorithms.some((a) => equal(a, algorithm.der)) &&
    signature.tag === bitString && signature.content[0] === 0;
  if (!wellFormed) throw new Error('not a signed key');
  const inner = readSequence(signed.der);
  return { key: inner.length === 1 ? inner[0].der : signed.der, signed: signed.der, signature: signature.content.subarray(1) };
}
