// Keys, signatures and key agreement by WebCrypto, and the DER forms that keys have on the wire.
//
// Spec: xftp.md 1.1

import { concat, equal, unhex } from './bytes.mjs';

const subtle = globalThis.crypto.subtle;

const forms = {
  Ed25519: { spki: unhex('302a300506032b6570032100'), pkcs8: unhex('302e020100300506032b657004220420'), size: 32 },
  X25519: { spki: unhex('302a300506032b656e032100'), pkcs8: unhex('302e020100300506032b656e04220420'), size: 32 },
  // Identities of upstream's relays. Not every WebCrypto can verify with them.
  Ed448: { spki: unhex('3043300506032b6571033a00'), pkcs8: unhex('3047020100300506032b6571043b0439'), size: 57 },
};

export const encodePublic = (algorithm, raw) => concat(forms[algorithm].spki, raw);
export const encodePrivate = (algorithm, raw) => concat(forms[algorithm].pkcs8, raw);

// decode returns what follows the prefix of the algorithm's DER form.
function decode(algorithm, form, der) {
  const prefix = forms[algorithm][form];
  if (der.length !== prefix.length + forms[algorithm].size || !equal(der.subarray(0, prefix.length), prefix)) {
    throw new Error(`not a key for ${algorithm}`);
  }
  return der.subarray(prefix.length);
}

// decodePublic and decodePrivate return the raw key in a DER form, which has to be of this algorithm.
export const decodePublic = (algorithm, der) => decode(algorithm, 'spki', der);
export const decodePrivate = (algorithm, der) => decode(algorithm, 'pkcs8', der);

// generate makes a key pair, both halves in DER.
export async function generate(algorithm) {
  const usages = algorithm === 'X25519' ? ['deriveBits'] : ['sign', 'verify'];
  const pair = await subtle.generateKey({ name: algorithm }, true, usages);
  const publicKey = new Uint8Array(await subtle.exportKey('spki', pair.publicKey));
  const privateKey = new Uint8Array(await subtle.exportKey('pkcs8', pair.privateKey));
  decodePublic(algorithm, publicKey);
  decodePrivate(algorithm, privateKey);
  return { publicKey, privateKey };
}

// sign returns the 64 bytes of an Ed25519 signature.
export async function sign(privateKey, message) {
  const key = await subtle.importKey('pkcs8', privateKey, { name: 'Ed25519' }, false, ['sign']);
  return new Uint8Array(await subtle.sign({ name: 'Ed25519' }, key, message));
}

// verify reports whether it is the signature of message by the key, of either Edwards curve, in this SPKI.
export async function verify(publicKey, signature, message) {
  const name = equal(publicKey.subarray(0, forms.Ed448.spki.length), forms.Ed448.spki) ? 'Ed448' : 'Ed25519';
  decodePublic(name, publicKey);
  const key = await subtle.importKey('spki', publicKey, { name }, false, ['verify']);
  return subtle.verify({ name }, key, signature, message);
}

// agree returns the shared secret of two X25519 keys in DER, 32 bytes.
export async function agree(privateKey, publicKey) {
  const own = await subtle.importKey('pkcs8', privateKey, { name: 'X25519' }, false, ['deriveBits']);
  const other = await subtle.importKey('spki', publicKey, { name: 'X25519' }, false, []);
  return new Uint8Array(await subtle.deriveBits({ name: 'X25519', public: other }, own, 256));
}

export const sha256 = async (bytes) => new Uint8Array(await subtle.digest('SHA-256', bytes));
export const sha512 = async (bytes) => new Uint8Array(await subtle.digest('SHA-512', bytes));

// random returns n random bytes.
export function random(n) {
  const most = 65536; // of WebCrypto in one call
  const out = new Uint8Array(n);
  for (let at = 0; at < n; at += most) globalThis.crypto.getRandomValues(out.subarray(at, at + most));
  return out;
}
