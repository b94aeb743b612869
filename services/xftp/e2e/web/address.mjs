// Addresses of relays.
//
// Spec: xftp.md 2.3

import { base64url, unbase64url } from './bytes.mjs';

const form = /^xftp:\/\/([A-Za-z0-9_-]+={0,2})@(\[[0-9A-Fa-f:.]+\]|[^:#,;/ \r\n\t@]+)(?::([0-9]*))?(?:,.*)?$/;

// parseAddress reads the address of a relay without a password, such as descriptions have. Of several hosts the first
// counts, with the port after it, as in the browsers' client that these modules stand in for.
export function parseAddress(address) {
  const match = form.exec(address);
  if (!match) throw new Error('not the address of a file relay');
  const [, identity, host, port = '443'] = match;
  const fingerprint = unbase64url(identity);
  if (fingerprint.length !== 32) throw new Error('a fingerprint of the wrong size');
  return { fingerprint, host, port };
}

export const formatAddress = ({ fingerprint, host, port }) => `xftp://${base64url(fingerprint)}@${host}:${port}`;

// originOf returns where a browser finds the relay.
export const originOf = ({ host, port }) => `https://${host}${port === '443' ? '' : `:${port}`}`;
