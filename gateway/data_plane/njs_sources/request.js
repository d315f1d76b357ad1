// One request: which way it goes, and what of it the provider sees.
import claim from 'claim.js';
import python from 'python.js';
import settings from 'settings.js';

const BROWSER_LENGTH = 32;
const OWN_COOKIE = /(?:^|;)\s*(?:__host-|__secure-)?sparekey[^;]*/gi;
// CRC-32 of the sixteen half bytes (ISO 3309).
const CRC_32 = [
  0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
  0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
];

// Return what tells the cookies of two applications apart; it protects nothing.
function cookieSuffix(client) {
  let sum = -1;
  for (let at = 0; at < client.length; at++) {
    sum ^= client.charCodeAt(at);
    sum = CRC_32[sum & 15] ^ (sum >>> 4);
    sum = CRC_32[sum & 15] ^ (sum >>> 4);
  }
  return (~sum >>> 0).toString(16).padStart(8, '0');
}

// Return the value of a cookie, or null where there is none, or more than one.
function cookie(r, name) {
  const sent = r.variables.http_cookie || '';
  const at = sent.indexOf(name);
  if (at < 0 || sent.indexOf(name, at + name.length) >= 0) {
    return null;
  }
  return r.variables[`cookie_${name}`] || null;
}

// Return the Cookie field without our own cookies.
function theirs(r) {
  const sent = r.variables.http_cookie || '';
  const kept = sent.replace(OWN_COOKIE, '');
  return kept === sent ? sent : kept.replace(/^[;\s]+/, '');
}

// Tell the name of the cookie in which a browser claims to be decided about at an application.
function claimCookie(client) {
  return `${settings.decided}-${cookieSuffix(client)}`;
}

// Let a plain request for a code go to the provider, unless its cookies say that it would be for nothing.
function weighCookies(r) {
  const sent = r.variables.http_cookie;
  const token = cookie(r, claimCookie(r.variables.sparekey_client));
  const isClaimed = claim.mayHold(token, python.policyVersion());
  // Without a session the provider shows its page, which every answer is still checked to be.
  const isInSession = settings.session_cookies.some(name => sent.includes(name));
  if (sent.includes(settings.ask.name) || (isInSession && !isClaimed)) {
    r.internalRedirect('@all_the_rest');
    return;
  }
  r.variables.sparekey_claim = isClaimed ? token : '';
  r.variables.sparekey_lane = 'direct';
  r.variables.sparekey_cookie = theirs(r);
}

// Return the browser's id, or null where it has none.
function browser(r) {
  const id = cookie(r, settings.requests.name);
  return id && id.length === BROWSER_LENGTH && !/[^A-Za-z0-9_-]/.test(id) ? id : null;
}

export default { browser, claimCookie, theirs, weighCookies };
