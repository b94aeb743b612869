// Whole files: sent, received by their link, deleted.
//
// Spec: xftp.md 12

import { concat, equal, text, utf8 } from './bytes.mjs';
import { formatAddress, originOf, parseAddress } from './address.mjs';
import { Client } from './client.mjs';
import { decodeFragment, encodeFragment, formatDescription, linkOf, parseDescription, wantsRedirect } from './description.mjs';
import { decryptFile, encryptFile, singleChunk } from './file.mjs';
import { generate, sha256, sha512 } from './keys.mjs';

// connect returns a client of the relay with this address.
export const connect = (fetch, address) => {
  const parsed = parseAddress(address);
  return Client.connect(fetch, { origin: originOf(parsed), fingerprint: parsed.fingerprint });
};

// putChunk registers and uploads one chunk for one recipient.
async function putChunk(client, chunk) {
  const sender = await generate('Ed25519'), recipient = await generate('Ed25519'), digest = await sha256(chunk);
  const { senderId, recipientIds } = await client.create({ size: chunk.length, digest, sender, recipients: [recipient] });
  await client.upload(senderId, sender.privateKey, chunk);
  return {
    digest,
    sender: { id: senderId, key: sender.privateKey },
    recipient: { id: recipientIds[0], key: recipient.privateKey },
  };
}

// putFile encrypts and uploads a file and returns its two descriptions.
async function putFile(client, address, file, choose) {
  const { key, nonce, sizes, encrypted, digest } = await encryptFile(file, choose);
  const server = formatAddress(parseAddress(address));
  const common = { size: encrypted.length, digest, key, nonce, chunkSize: sizes[0], redirect: null };
  const sender = { ...common, party: 'sender', chunks: [] };
  const recipient = { ...common, party: 'recipient', chunks: [] };
  for (let at = 0, i = 0; i < sizes.length; at += sizes[i++]) {
    const put = await putChunk(client, encrypted.subarray(at, at + sizes[i]));
    const chunk = { number: i + 1, size: sizes[i], digest: put.digest };
    sender.chunks.push({ ...chunk, replicas: [{ server, ...put.sender }] });
    recipient.chunks.push({ ...chunk, replicas: [{ server, ...put.recipient }] });
  }
  return { sender, recipient };
}

// sendFile uploads a file to the relay of this address and returns the link, and the sender's descriptions of all that was
// uploaded for it. redirect says whether the link is to a description that leads to the file's: null leaves it to the rule
// of pages.
export async function sendFile(fetch, address, file, redirect = null) {
  const client = await connect(fetch, address);
  const { sender, recipient } = await putFile(client, address, file);
  const yaml = formatDescription(recipient);
  const fragment = await encodeFragment(yaml);
  if (!(redirect ?? wantsRedirect(fragment, recipient))) return { link: linkOf(recipient, '/', fragment), senders: [sender] };
  const description = { name: '', content: utf8(yaml) };
  const first = await putFile(client, address, description, (payload) => [singleChunk(payload)]);
  const leading = { ...first.recipient, redirect: { size: recipient.size, digest: recipient.digest } };
  return { link: linkOf(leading, '/', await encodeFragment(formatDescription(leading))), senders: [sender, first.sender] };
}

// getFile downloads and decrypts the file of a recipient's description.
async function getFile(fetch, d) {
  if (d.party !== 'recipient') throw new Error('not the description of a recipient');
  const clients = new Map();
  const parts = [];
  for (const chunk of d.chunks) {
    const { server, id, key } = chunk.replicas[0];
    if (!clients.has(server)) clients.set(server, await connect(fetch, server));
    parts.push(await clients.get(server).download(id, key, chunk.size, chunk.digest));
  }
  const encrypted = concat(...parts);
  if (!equal(await sha512(encrypted), d.digest)) throw new Error('a file of another digest');
  return decryptFile({ encrypted, key: d.key, nonce: d.nonce });
}

// receiveLink returns the file that a link leads to, with one redirect at most, and whether there was one.
//
// Spec: xftp.md 13.4
export async function receiveLink(fetch, link) {
  const d = parseDescription(await decodeFragment(link.slice(link.indexOf('#') + 1)));
  const file = await getFile(fetch, d);
  if (d.redirect === null) return { ...file, redirected: false };
  const target = parseDescription(text(file.content));
  const same = target.size === d.redirect.size && equal(target.digest, d.redirect.digest) && target.redirect === null;
  if (!same) throw new Error('a redirect to another file');
  return { ...(await getFile(fetch, target)), redirected: true };
}

// deleteFile deletes all chunks of a sender's description.
export async function deleteFile(fetch, d) {
  const clients = new Map();
  for (const { replicas: [{ server, id, key }] } of d.chunks) {
    if (!clients.has(server)) clients.set(server, await connect(fetch, server));
    await clients.get(server).delete(id, key);
  }
}
