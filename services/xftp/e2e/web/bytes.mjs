// Bytes and the primitive encodings that everything else is made of. All integers are big-endian.
//
// Spec: xftp.md 1

export const blockSize = 16384;

const filler = 0x23; // '#'
const absent = 0x30; // '0'
const present = 0x31; // '1'

const strictText = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

// utf8 returns the bytes of a text, text the text of bytes; text refuses bytes that are not UTF-8.
export const utf8 = (text) => new TextEncoder().encode(text);
export const text = (bytes) => strictText.decode(bytes);

// concat returns the parts, each bytes, back to back.
export function concat(...parts) {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

// equal reports whether a and b are the same bytes. Nothing secret is compared here, so it may take any time.
export const equal = (a, b) => a.length === b.length && a.every((value, i) => value === b[i]);

export const hex = (bytes) => Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');

export function unhex(s) {
  if (s.length % 2 !== 0 || /[^0-9a-f]/.test(s)) throw new Error('not hexadecimal');
  return Uint8Array.from({ length: s.length / 2 }, (_, i) => parseInt(s.substr(2 * i, 2), 16));
}

// base64url encodes with padding.
//
// Spec: xftp.md 1.3
export function base64url(bytes) {
  let binary = '';
  for (const b of bytes) binary += String.fromCharCode(b);
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_');
}

// unbase64url decodes with or without padding.
export function unbase64url(s) {
  if (!/^[A-Za-z0-9_-]*={0,2}$/.test(s)) throw new Error('not base64url');
  return Uint8Array.from(atob(s.replace(/=+$/, '').replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
}

function integer(n, bytes, write) {
  const out = new Uint8Array(bytes);
  write(new DataView(out.buffer), n);
  return out;
}

function bounded(n, limit) {
  if (!Number.isInteger(n) || n < 0 || n >= limit) throw new Error('the integer does not fit');
  return n;
}

export const u8 = (n) => Uint8Array.of(bounded(n, 0x100));
export const u16 = (n) => integer(bounded(n, 0x10000), 2, (view) => view.setUint16(0, n));
export const u32 = (n) => integer(bounded(n, 0x100000000), 4, (view) => view.setUint32(0, n));
// i64 takes a BigInt, of which no more than 64 bits may be needed.
export const i64 = (n) => integer(n, 8, (view) => view.setBigInt64(0, n));
export const s8 = (bytes) => concat(u8(bytes.length), bytes);
export const s16 = (bytes) => concat(u16(bytes.length), bytes);
export const opt = (bytes, encode) => (bytes === null ? u8(absent) : concat(u8(present), encode(bytes)));
export const list8 = (items, encode) => concat(u8(items.length), ...items.map(encode));

// ne8 is list8 for lists that must have an item.
export function ne8(items, encode) {
  if (items.length === 0) throw new Error('the list is empty');
  return list8(items, encode);
}

// pad fills content up to size bytes, its length in the first two.
export function pad(content, size = blockSize) {
  if (content.length > size - 2) throw new Error('the content does not fit');
  const out = new Uint8Array(size).fill(filler);
  out.set(u16(content.length));
  out.set(content, 2);
  return out;
}

// unpad returns the content of a padded block of any size. The filler may be anything.
export const unpad = (block) => new Reader(block).s16();

// Reader takes bytes apart from their beginning. All methods throw if there are not enough.
export class Reader {
  #bytes;
  #at = 0;

  constructor(bytes) {
    this.#bytes = bytes;
  }

  get consumed() {
    return this.#at;
  }

  get remaining() {
    return this.#bytes.length - this.#at;
  }

  // take returns the next n bytes, as a view.
  take(n) {
    if (n > this.remaining) throw new Error('the input is cut short');
    this.#at += n;
    return this.#bytes.subarray(this.#at - n, this.#at);
  }

  #view(n) {
    const bytes = this.take(n);
    return new DataView(bytes.buffer, bytes.byteOffset, n);
  }

  u8 = () => this.#view(1).getUint8(0);
  u16 = () => this.#view(2).getUint16(0);
  u32 = () => this.#view(4).getUint32(0);
  i64 = () => this.#view(8).getBigInt64(0);
  s8 = () => this.take(this.u8());
  s16 = () => this.take(this.u16());
  tail = () => this.take(this.remaining);

  opt(read) {
    switch (this.u8()) {
      case absent:
        return null;
      case present:
        return read();
    }
    throw new Error('neither absent nor present');
  }

  list8(read) {
    return Array.from({ length: this.u8() }, read);
  }

  ne8(read) {
    const items = this.list8(read);
    if (items.length === 0) throw new Error('the list is empty');
    return items;
  }

  // end refuses what is left.
  end() {
    if (this.remaining > 0) throw new Error('bytes are left over');
  }
}
