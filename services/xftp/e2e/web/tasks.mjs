// What a program in Node and a page in a browser can both be asked to do. Each task takes its surroundings, that is a way
// to open connections and to tell what was done, and parameters; it returns what is to be reported.

import { converse } from './conversation.mjs';
import { base64url } from './bytes.mjs';
import { random, sha256 } from './keys.mjs';
import { receiveLink, sendFile } from './transfer.mjs';

// send uploads a file of random content and returns its link and SHA-256.
async function send({ open }, { address, name, size, redirect = null }) {
  const content = random(size);
  const { link } = await sendFile(open(), address, { name, content }, redirect);
  return { link, digest: base64url(await sha256(content)) };
}

// receive returns what the file of a link is called and the SHA-256 of its content.
async function receive({ open }, { link }) {
  const { name, content, redirected } = await receiveLink(open(), link);
  return { name, size: content.length, digest: base64url(await sha256(content)), redirected };
}

export const tasks = { converse, send, receive };
