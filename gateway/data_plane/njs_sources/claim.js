// Claims that the gateway signed: "this session was found covered". This side can check them, not make them.
import settings from 'settings.js';

const LONGEST = 256;
const CURVE = { name: 'ECDSA', namedCurve: 'P-256' };
const SIGNING = { name: 'ECDSA', hash: 'SHA-256' };
const NUMBER_BYTES = 32;
const BROWSER_BYTES = 24;
const DER_INTEGER = 2;

// Return version, end and signature of a token that could still hold, or null; nothing is verified yet.
function read(token) {
  const parts = token && token.length <= LONGEST && token.match(/^(\d+)\.(\d+)\.([\w-]+)$/);
  if (!parts || Number(parts[2]) * 1000 <= Date.now()) {
    return null;
  }
  return { version: parts[1], ends: parts[2], signature: parts[3] };
}

// Tell whether a token is worth an answer of the provider: of this policy, and not over.
function mayHold(token, policyVersion) {
  const claimed = read(token);
  return claimed !== null && claimed.version === policyVersion;
}

function fact(text) {
  return `\n${Buffer.byteLength(text)}:${text}`;
}

function messageOf(facts, claimed) {
  const stated = [facts.issuer, facts.session, facts.client, facts.redirect, facts.address];
  return `sparekey decided 1${stated.concat(claimed.version, claimed.ends).map(fact).join('')}`;
}

// Return a number of a DER signature in 32 bytes, and where it ends; null where it is none.
function integer(der, at) {
  const ends = at + 2 + der[at + 1];
  if (der[at] !== DER_INTEGER || !(ends <= der.length)) {
    return null;
  }
  let from = at + 2;
  while (from < ends && der[from] === 0) {
    from++;
  }
  if (ends - from > NUMBER_BYTES) {
    return null;
  }
  return { bytes: Buffer.concat([Buffer.alloc(NUMBER_BYTES - (ends - from)), der.slice(from, ends)]), ends };
}

// Return a signature as WebCrypto reads it: two numbers side by side. It comes as DER (RFC 3279, section 2.2.3).
function sideBySide(der) {
  const first = integer(der, 2);
  const second = first && integer(der, first.ends);
  return second && Buffer.concat([first.bytes, second.bytes]);
}

async function isSigned(message, der) {
  const signature = sideBySide(der);
  for (let at = 0; signature && at < settings.keys.length; at++) {
    const encoded = Buffer.from(settings.keys[at], 'base64');
    const key = await crypto.subtle.importKey('spki', encoded, CURVE, false, ['verify']);
    if (await crypto.subtle.verify(SIGNING, key, signature, Buffer.from(message))) {
      return true;
    }
  }
  return false;
}

// Tell whether a token speaks of exactly these facts: issuer, session, client, redirect address, network address.
async function holds(token, facts, policyVersion) {
  const claimed = read(token);
  if (!claimed || claimed.version !== policyVersion) {
    return false;
  }
  const message = messageOf(facts, claimed);
  const verified = ngx.shared.sparekey_verified;
  // A signature is true of one message for ever; that it is over was looked at before.
  if (verified.get(token) === message) {
    return true;
  }
  const isTrue = await isSigned(message, Buffer.from(claimed.signature, 'base64url'));
  if (isTrue) {
    verified.set(token, message);
  }
  return isTrue;
}

// Return a fresh id of a browser, as the gateway makes them.
function newBrowser() {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(BROWSER_BYTES))).toString('base64url');
}

export default { holds, mayHold, newBrowser };
