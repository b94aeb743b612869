// File descriptions and the links that carry them.
//
// Spec: xftp.md 13

import { base64url, concat, equal, text, unbase64url, utf8 } from './bytes.mjs';
import { originOf, parseAddress } from './address.mjs';
import { decodePrivate } from './keys.mjs';

const units = [['gb', 2 ** 30], ['mb', 2 ** 20], ['kb', 2 ** 10]];

// formatSize writes a number of bytes in the largest unit that divides it, 0 in the largest there is.
//
// Spec: xftp.md 13.2
export function formatSize(bytes) {
  for (const [unit, size] of units) if (bytes % size === 0) return `${bytes / size}${unit}`;
  return `${bytes}`;
}

export function parseSize(s) {
  const match = /^([0-9]+)(gb|mb|kb)?$/.exec(s);
  if (!match) throw new Error('not a size');
  const size = Number(match[1]) * (units.find(([unit]) => unit === match[2])?.[1] ?? 1);
  if (!Number.isSafeInteger(size)) throw new Error('an impossible size');
  return size;
}

// A description has the fields of the text, bytes as bytes and sizes as numbers; chunks has, for each, its number, size,
// digest and replicas, and a replica its server, id and key.

// formatDescription writes a description. What a chunk's replicas share stands with the first.
//
// Spec: xftp.md 13.1
export function formatDescription(d) {
  const servers = new Map();
  for (const chunk of d.chunks) {
    chunk.replicas.forEach((replica, i) => {
      const line = [chunk.number, base64url(replica.id), base64url(replica.key)];
      if (i === 0) line.push(base64url(chunk.digest));
      if (i === 0 && chunk.size !== d.chunkSize) line.push(formatSize(chunk.size));
      servers.set(replica.server, [...(servers.get(replica.server) ?? []), `  - ${line.join(':')}`]);
    });
  }
  const groups = [...servers].sort(([a], [b]) => (a < b ? -1 : 1));
  return [
    `chunkSize: ${formatSize(d.chunkSize)}`,
    `digest: ${base64url(d.digest)}`,
    `key: ${base64url(d.key)}`,
    `nonce: ${base64url(d.nonce)}`,
    `party: ${d.party}`,
    ...(d.redirect ? ['redirect:', `  digest: ${base64url(d.redirect.digest)}`, `  size: ${d.redirect.size}`] : []),
    'replicas:',
    ...groups.flatMap(([server, lines]) => ['- chunks:', ...lines, `  server: ${server}`]),
    `size: ${formatSize(d.size)}`,
    '',
  ].join('\n');
}

// readFields reads the lines of a description: its fields, those of the redirect, and a list of replicas per server.
function readFields(yaml) {
  const fields = {}, redirect = {}, groups = [];
  let section = '';
  for (const line of yaml.split('\n')) {
    const [, indent, item, name, value] = /^( *)(- )?(?:([A-Za-z]+):(?: |$))?(.*)$/.exec(line);
    if (line.trim() === '') continue;
    if (item && indent === '') groups.push({ chunks: [], server: '' });
    const group = groups.at(-1);
    if (item && indent !== '') group.chunks.push(value);
    else if (!item && indent === '') fields[(section = name)] = value;
    else if (section === 'redirect') redirect[name] = value;
    else if (name === 'server') group.server = value;
  }
  return { fields, redirect, groups };
}

// readReplica reads one chunk's replica on a server.
//
// Spec: xftp.md 13.3
function readReplica(server, line) {
  const [number, id, key, digest, size, ...more] = line.split(':');
  if (!/^[1-9][0-9]*$/.test(number) || key === undefined || more.length > 0) throw new Error('not a replica');
  const replica = { server, id: unbase64url(id), key: unbase64url(key) };
  decodePrivate('Ed25519', replica.key);
  parseAddress(server);
  return { number: Number(number), replica, digest: digest && unbase64url(digest), size: size && parseSize(size) };
}

// collectChunks joins the replicas of each chunk, and what they say of it.
function collectChunks(groups, chunkSize) {
  const chunks = new Map();
  for (const { server, chunks: lines } of groups) {
    for (const line of lines) {
      const { number, replica, digest, size } = readReplica(server, line);
      const chunk = chunks.get(number) ?? { number, replicas: [] };
      if (digest && chunk.digest && !equal(digest, chunk.digest)) throw new Error('a chunk with two digests');
      if (size && chunk.size && size !== chunk.size) throw new Error('a chunk of two sizes');
      chunk.digest ??= digest;
      chunk.size ??= size;
      chunk.replicas.push(replica);
      chunks.set(number, chunk);
    }
  }
  const list = [...chunks.values()].sort((a, b) => a.number - b.number);
  if (list.some((chunk) => !chunk.digest)) throw new Error('a chunk without a digest');
  return list.map((chunk) => ({ ...chunk, size: chunk.size ?? chunkSize }));
}

// parseDescription reads a description in exactly the layout that all programs write.
//
// Spec: xftp.md 13.1
export function parseDescription(yaml) {
  const { fields, redirect, groups } = readFields(yaml);
  const chunkSize = parseSize(fields.chunkSize ?? '');
  const d = {
    party: fields.party,
    size: parseSize(fields.size ?? ''),
    digest: unbase64url(fields.digest ?? ''),
    key: unbase64url(fields.key ?? ''),
    nonce: unbase64url(fields.nonce ?? ''),
    chunkSize,
    redirect: 'redirect' in fields ? { size: parseSize(redirect.size ?? ''), digest: unbase64url(redirect.digest ?? '') } : null,
    chunks: collectChunks(groups, chunkSize),
  };
  if (!['recipient', 'sender'].includes(d.party)) throw new Error('a description for nobody');
  if (d.digest.length !== 64 || d.key.length !== 32 || d.nonce.length !== 24) throw new Error('a digest, key or nonce of the wrong size');
  if (d.chunks.length === 0 || d.chunks.some((chunk, i) => chunk.number !== i + 1)) throw new Error('a chunk is missing');
  if (d.chunks.reduce((sum, chunk) => sum + chunk.size, 0) !== d.size) throw new Error('chunks of another total size');
  return d;
}

async function transform(bytes, stream) {
  const parts = [];
  for await (const part of new Blob([bytes]).stream().pipeThrough(stream)) parts.push(part);
  return concat(...parts);
}

// encodeFragment and decodeFragment turn the text of a description into what follows the # of a link, and back.
//
// Spec: xftp.md 13.5
export const encodeFragment = async (yaml) => base64url(await transform(utf8(yaml), new CompressionStream('deflate-raw')));

export const decodeFragment = async (fragment) =>
  text(await transform(unbase64url(fragment), new DecompressionStream('deflate-raw')));

// A page makes a description of its own for one whose fragment would be longer, if it has more than one chunk.
const longestFragment = 400;

export const wantsRedirect = (fragment, d) => fragment.length > longestFragment && d.chunks.length > 1;

// linkOf returns the link of a page at this path of the relay that has the first chunk.
export const linkOf = (d, path, fragment) => `${originOf(parseAddress(d.chunks[0].replicas[0].server))}${path}#${fragment}`;
