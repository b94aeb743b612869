// XSalsa20 and Poly1305 in the one construction that XFTP uses for chunks and files. WebCrypto has neither.
//
// Spec: xftp.md 1.4

import { concat } from './bytes.mjs';

export const nonceSize = 24;
export const keySize = 32;
export const tagSize = 16;

const cipherBlock = 64;
const sigma = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574];

function words(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Uint32Array.from({ length: bytes.length / 4 }, (_, i) => view.getUint32(4 * i, true));
}

function unwords(values) {
  const out = new Uint8Array(4 * values.length);
  const view = new DataView(out.buffer);
  values.forEach((value, i) => view.setUint32(4 * i, value, true));
  return out;
}

function quarter(x, a, b, c, d) {
  let t = x[a] + x[d];
  x[b] ^= (t << 7) | (t >>> 25);
  t = x[b] + x[a];
  x[c] ^= (t << 9) | (t >>> 23);
  t = x[c] + x[b];
  x[d] ^= (t << 13) | (t >>> 19);
  t = x[d] + x[c];
  x[a] ^= (t << 18) | (t >>> 14);
}

// rounds is the 20 rounds of Salsa20, in place.
function rounds(x) {
  for (let i = 0; i < 10; i++) {
    quarter(x, 0, 4, 8, 12);
    quarter(x, 5, 9, 13, 1);
    quarter(x, 10, 14, 2, 6);
    quarter(x, 15, 3, 7, 11);
    quarter(x, 0, 1, 2, 3);
    quarter(x, 5, 6, 7, 4);
    quarter(x, 10, 11, 8, 9);
    quarter(x, 15, 12, 13, 14);
  }
}

// arrange places a key of 8 words and an input of 4 words as Salsa20 wants them.
function arrange(k, input) {
  return Int32Array.of(
    sigma[0], k[0], k[1], k[2], k[3], sigma[1], input[0], input[1],
    input[2], input[3], sigma[2], k[4], k[5], k[6], k[7], sigma[3],
  );
}

// hsalsa20 derives a key of 32 bytes from one of 32 and an input of 16.
export function hsalsa20(key, input) {
  const x = arrange(words(key), words(input));
  rounds(x);
  return unwords([0, 5, 10, 15, 6, 7, 8, 9].map((i) => x[i]));
}

// Salsa20 is a keystream.
class Salsa20 {
  #start;
  #state = new Int32Array(16);
  #block;
  #used = cipherBlock;

  // key has 32 bytes, nonce 8.
  constructor(key, nonce) {
    const n = words(nonce);
    this.#start = arrange(words(key), [n[0], n[1], 0, 0]);
    this.#block = new Uint8Array(cipherBlock);
  }

  #next() {
    const start = this.#start, x = this.#state, block = this.#block;
    x.set(start);
    rounds(x);
    for (let i = 0; i < 16; i++) {
      const value = x[i] + start[i];
      block[4 * i] = value;
      block[4 * i + 1] = value >>> 8;
      block[4 * i + 2] = value >>> 16;
      block[4 * i + 3] = value >>> 24;
    }
    // Words 8 and 9 count blocks. The first alone is enough for the 256 GiB that nobody sends.
    start[8]++;
    this.#used = 0;
  }

  // xor returns input combined with the next bytes of the keystream.
  xor(input) {
    const out = new Uint8Array(input.length), block = this.#block;
    for (let at = 0; at < input.length; ) {
      if (this.#used === cipherBlock) this.#next();
      const used = this.#used, n = Math.min(cipherBlock - used, input.length - at);
      for (let i = 0; i < n; i++) out[at + i] = input[at + i] ^ block[used + i];
      this.#used += n;
      at += n;
    }
    return out;
  }
}

// Poly1305 computes in six limbs of 22 bits, little end first: then all sums of products are below 2^52 and exact as
// numbers of JavaScript.
const limbs = 6;
const radix = 2 ** 22;
// What leaves the sixth limb counts 2^132, which is 20 modulo 2^130 - 5.
const wrapped = 20;

function toLimbs(bytes, into) {
  let bits = 0, value = 0, limb = 0;
  for (let i = 0; i < bytes.length; i++) {
    value |= bytes[i] << bits;
    bits += 8;
    if (bits >= 22) {
      into[limb++] = value & (radix - 1);
      bits -= 22;
      value = bytes[i] >>> (8 - bits);
    }
  }
  into[limb++] = value;
  into.fill(0, limb);
}

class Poly1305 {
  #r = new Float64Array(limbs);
  #pad;
  #h = new Float64Array(limbs);
  #m = new Float64Array(limbs);
  #d = new Float64Array(limbs);
  #rest = new Uint8Array(tagSize + 1);
  #held = 0;

  // key has 32 bytes and serves once.
  constructor(key) {
    const r = key.slice(0, tagSize);
    for (const i of [3, 7, 11, 15]) r[i] &= 15;
    for (const i of [4, 8, 12]) r[i] &= 252;
    toLimbs(r, this.#r);
    this.#pad = littleEndian(key.subarray(tagSize));
  }

  update(bytes) {
    const rest = this.#rest;
    for (let at = 0; at < bytes.length; ) {
      const held = this.#held, n = Math.min(tagSize - held, bytes.length - at);
      for (let i = 0; i < n; i++) rest[held + i] = bytes[at + i];
      this.#held += n;
      at += n;
      if (this.#held === tagSize) this.#absorb();
    }
  }

  // absorb takes the held bytes, closed with a one, as the next coefficient.
  #absorb() {
    this.#rest[this.#held] = 1;
    this.#rest.fill(0, this.#held + 1);
    this.#held = 0;
    const h = this.#h, r = this.#r, m = this.#m, d = this.#d;
    toLimbs(this.#rest, m);
    d.fill(0);
    for (let i = 0; i < limbs; i++) {
      const x = h[i] + m[i];
      for (let j = 0; j < limbs; j++) {
        if (i + j < limbs) d[i + j] += x * r[j];
        else d[i + j - limbs] += x * r[j] * wrapped;
      }
    }
    let carry = 0;
    for (let i = 0; i < limbs; i++) {
      const sum = d[i] + carry;
      carry = Math.floor(sum / radix);
      h[i] = sum - carry * radix;
    }
    const low = h[0] + carry * wrapped;
    carry = Math.floor(low / radix);
    h[0] = low - carry * radix;
    h[1] += carry;
  }

  // tag ends the message and returns its 16 bytes.
  tag() {
    if (this.#held > 0) this.#absorb();
    let h = 0n;
    for (let i = limbs - 1; i >= 0; i--) h = (h << 22n) + BigInt(this.#h[i]);
    let sum = (h % ((1n << 130n) - 5n)) + this.#pad;
    return Uint8Array.from({ length: tagSize }, () => {
      const byte = Number(sum & 255n);
      sum >>= 8n;
      return byte;
    });
  }
}

const littleEndian = (bytes) => bytes.reduceRight((sum, byte) => (sum << 8n) + BigInt(byte), 0n);

// Box encrypts or decrypts a stream, whose tag its user places.
export class Box {
  #stream;
  #mac;

  // secret, of 32 bytes, is the key of a file, or a shared secret of X25519 as it comes out.
  constructor(secret, nonce) {
    if (secret.length !== keySize || nonce.length !== nonceSize) throw new Error('a key or nonce of the wrong size');
    const key = hsalsa20(hsalsa20(secret, new Uint8Array(16)), nonce.subarray(0, 16));
    this.#stream = new Salsa20(key, nonce.subarray(16));
    this.#mac = new Poly1305(this.#stream.xor(new Uint8Array(keySize)));
  }

  seal(plain) {
    const cipher = this.#stream.xor(plain);
    this.#mac.update(cipher);
    return cipher;
  }

  open(cipher) {
    this.#mac.update(cipher);
    return this.#stream.xor(cipher);
  }

  // tag ends the stream.
  tag() {
    return this.#mac.tag();
  }

  // verify ends a stream that was opened, and throws unless this is its tag.
  verify(tag) {
    const own = this.tag();
    let difference = own.length ^ tag.length;
    for (let i = 0; i < own.length; i++) difference |= own[i] ^ tag[i];
    if (difference !== 0) throw new Error('the tag is wrong');
  }
}

// seal and open are for whole messages with the tag at their end.
export function seal(secret, nonce, plain) {
  const box = new Box(secret, nonce);
  return concat(box.seal(plain), box.tag());
}

export function open(secret, nonce, sealed) {
  if (sealed.length < tagSize) throw new Error('shorter than a tag');
  const box = new Box(secret, nonce);
  const plain = box.open(sealed.subarray(0, -tagSize));
  box.verify(sealed.subarray(-tagSize));
  return plain;
}
