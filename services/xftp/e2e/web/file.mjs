// Files as they are encrypted and cut into chunks.
//
// Spec: xftp.md 12.1

import { Reader, concat, i64, opt, s8, text, utf8 } from './bytes.mjs';
import { keySize, nonceSize, open, seal, tagSize } from './box.mjs';
import { random, sha512 } from './keys.mjs';

export const chunkSizes = [65536, 262144, 1048576, 4194304];

const filler = 0x23; // '#'
const lengthSize = 8;
const overhead = lengthSize + tagSize;

// chooseChunks returns the sizes of the chunks for a payload: header, file, length and tag.
//
// Spec: xftp.md 12.2
export function chooseChunks(payload) {
  const worthwhile = (size) => payload > Math.floor((size * 3) / 4);
  const [c0, c1, c2, c3] = chunkSizes;
  let small = c0, big = c1;
  if (worthwhile(c3)) [small, big] = [c2, c3];
  else if (worthwhile(c2)) [small, big] = [c1, c2];
  const sizes = Array(Math.floor(payload / big)).fill(big);
  const rest = payload % big;
  if (rest > Math.floor((big * 3) / 4)) sizes.push(big);
  else sizes.push(...Array(Math.ceil(rest / small)).fill(small));
  return sizes;
}

// singleChunk returns the smallest chunk that a payload fits, null if there is none.
export const singleChunk = (payload) => chunkSizes.find((size) => payload <= size) ?? null;

// encodeHeader returns what precedes a file; extra is null or a text.
export const encodeHeader = (name, extra = null) => concat(s8(utf8(name)), opt(extra === null ? null : utf8(extra), s8));

// sealFile encrypts a header and a file to size bytes.
export function sealFile({ header, content, key, nonce, size }) {
  const length = header.length + content.length;
  if (length + overhead > size) throw new Error('the file does not fit');
  const plain = new Uint8Array(size - tagSize).fill(filler);
  plain.set(i64(BigInt(length)));
  plain.set(header, lengthSize);
  plain.set(content, lengthSize + header.length);
  return seal(key, nonce, plain);
}

// encryptFile encrypts a file with a new key. It returns that, the digest, and the encrypted file with its chunks' sizes.
export async function encryptFile({ name, content }, choose = chooseChunks) {
  const key = random(keySize), nonce = random(nonceSize), header = encodeHeader(name);
  const sizes = choose(header.length + content.length + overhead);
  const size = sizes.reduce((sum, one) => sum + one, 0);
  const encrypted = sealFile({ header, content, key, nonce, size });
  return { key, nonce, sizes, encrypted, digest: await sha512(encrypted) };
}

// decryptFile returns the name, the extra text or null, and the content of an encrypted file.
export function decryptFile({ encrypted, key, nonce }) {
  const padded = new Reader(open(key, nonce, encrypted));
  const length = padded.i64();
  if (length < 0n || length > BigInt(padded.remaining)) throw new Error('a file of impossible length');
  const reader = new Reader(padded.take(Number(length)));
  const name = text(reader.s8());
  const extra = reader.opt(() => text(reader.s8()));
  return { name, extra, content: reader.tail() };
}
