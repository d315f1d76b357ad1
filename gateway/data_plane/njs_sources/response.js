// Every answer of the provider that did not come through the gateway is checked here. One that signs
// somebody in passes only with a claim for its own session, or as the policy says while the gateway is gone.
import claim from 'claim.js';
import link from 'link.js';
import python from 'python.js';
import request from 'request.js';
import settings from 'settings.js';

// All that a plain answer says, each of it once.
const STATED = ['code', 'state', 'session_state', 'iss'];
const OWN_COOKIE = /^\s*(?:__host-|__secure-)?sparekey/i;
const NOT_IN_ADDRESS = /[^!-\[\]-~]/;
// Of several types browsers take the last, and some they guess.
const MAY_BE_PAGE = /html|(?:unknown|application)\/unknown|\*\/\*/i;
const UTF_8 = /charset\s*=\s*"?utf-?8"?\s*(?:;|$)/i;
const FIELD = /name\s*=\s*["']?(?=([^"'\s\/>=]+)["'\s\/>])/gi;
const REFRESH = /http-equiv\s*=\s*["']?refresh/i;
const LONGEST_TARGET = 4096;

// What happens to the next piece of the body. This machine lives for one request.
let onPiece = refuse;

// Security: where no head was looked at to its end, nothing of the body passes either.
function refuse() {
  throw new Error('a body whose head was not looked at');
}

function pass(r, data, flags) {
  r.sendBuffer(data, flags);
  r.done();
}

function drop() {}

// Send the end of an answer; what still comes from the provider goes nowhere.
function finish(r, text) {
  r.sendBuffer(text, { last: true });
  onPiece = drop;
}

// Return a text without its escapes, or null where they are none.
function unescaped(text) {
  try {
    return decodeURIComponent(text);
  } catch (malformed) {
    return null;
  }
}

// Tell whether an address takes something along that signs somebody in; unclear ones do.
function handsOver(address) {
  if (NOT_IN_ADDRESS.test(address)) {
    return true;
  }
  return address.split(/[?&#;]/).slice(1).some(pair => {
    const name = unescaped(pair.split('=')[0]);
    return name === null || settings.handed_over.includes(name.toLowerCase());
  });
}

function nameOf(cookie) {
  return cookie.split('=')[0].trim();
}

function isRemoval(cookie) {
  const value = cookie.slice(cookie.indexOf('=') + 1).split(';')[0].trim();
  return value === '' || value === '""';
}

function beginsSession(cookies) {
  return cookies.some(cookie => settings.session_cookies.includes(nameOf(cookie)) && !isRemoval(cookie));
}

// Our names are ours: no cookie of the provider carries them.
function dropOwn(r) {
  const cookies = r.headersOut['Set-Cookie'] || [];
  const kept = cookies.filter(cookie => !OWN_COOKIE.test(cookie));
  if (kept.length < cookies.length) {
    r.headersOut['Set-Cookie'] = kept;
  }
  return kept;
}

// Tell whether a browser may take this for a page.
function isPage(r) {
  const kind = r.headersOut['Content-Type'];
  return kind ? MAY_BE_PAGE.test(kind) : r.status === 200;
}

// Tell whether a browser would read a page as it is read here.
function isReadable(r) {
  const kind = r.headersOut['Content-Type'] || '';
  return !r.headersOut['Content-Encoding'] && (!/charset/i.test(kind) || UTF_8.test(kind));
}

// Return where a plain code is sent and of which session it is, or null for any other Location.
function stated(location) {
  const mark = location.indexOf('?');
  if (mark < 0 || location.includes('#')) {
    return null;
  }
  const said = {};
  const isPlain = location.slice(mark + 1).split('&').every(pair => {
    const name = pair.split('=')[0];
    const isNew = STATED.includes(name) && pair.includes('=') && said[name] === undefined;
    said[name] = unescaped(pair.slice(name.length + 1));
    return isNew && said[name] !== null;
  });
  const isIssuer = said.iss === undefined || said.iss === settings.issuer;
  if (!isPlain || !isIssuer || !said.code || !said.session_state) {
    return null;
  }
  return { redirect: location.slice(0, mark), session: said.session_state };
}

// Return the network address as the gateway writes it.
function clientAddress(r) {
  return r.variables.remote_addr.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/, '');
}

function clear(r) {
  Object.keys(r.headersOut).forEach(name => {
    delete r.headersOut[name];
  });
}

// Return a page of ours with the number that finds the log line.
function withReference(r, text) {
  return text.replace('REFERENCE', r.variables.request_id.slice(0, 8));
}

// Send a body in place of the one that comes.
function sendInstead(r, text) {
  r.headersOut['Content-Length'] = String(Buffer.byteLength(text));
  onPiece = () => finish(r, text);
}

function setPageFields(r) {
  Object.keys(settings.page_fields).forEach(name => {
    r.headersOut[name] = settings.page_fields[name];
  });
}

// Answer with a page of ours instead.
function replace(r, status, text) {
  clear(r);
  r.status = status;
  setPageFields(r);
  sendInstead(r, withReference(r, text));
}

// Have the browser ask again; the gateway answers then.
function askAgain(r) {
  const cookies = [`${settings.ask.name}=1${settings.ask.attributes}`];
  if (r.variables.sparekey_claim) {
    cookies.push(`${request.claimCookie(r.variables.sparekey_client)}=${settings.ask.removed}`);
  }
  clear(r);
  r.status = 303;
  r.headersOut['Location'] = settings.public + r.variables.request_uri;
  r.headersOut['Cache-Control'] = 'no-store';
  r.headersOut['Content-Type'] = 'text/plain';
  r.headersOut['Set-Cookie'] = cookies;
  // An empty body would leave nginx waiting for the rest of the one that it replaces.
  sendInstead(r, '\n');
}

// Return a request's lane as it is now: what went directly is a fault's where the gateway is gone.
function presentLane(r) {
  if (r.variables.sparekey_lane === 'direct' && python.isGone()) {
    r.variables.sparekey_lane = 'fault';
  }
  return r.variables.sparekey_lane;
}

function tell(r, outcome) {
  r.variables.sparekey_why = outcome;
  python.count(outcome);
}

// Answer for what may sign somebody in and was not decided.
function undecided(r) {
  const lane = presentLane(r);
  if (lane === 'direct') {
    tell(r, 'repeated');
    askAgain(r);
  } else if (lane !== 'fault') {
    tell(r, 'refused');
    replace(r, 502, settings.unverified);
  } else if (python.releasesOnFault()) {
    tell(r, 'fault_released');
    onPiece = pass;
  } else {
    tell(r, 'fault_denied');
    replace(r, 503, settings.outage);
  }
}

// Let an answer pass that was decided before: same session, relying party and place, same policy.
async function weigh(r, answer) {
  const location = r.headersOut['Location'];
  const cookies = r.headersOut['Set-Cookie'] || [];
  // Security: a script that fails once it waits does not stop the head. So what lets somebody in is
  // taken off first, and given back at the end.
  delete r.headersOut['Location'];
  delete r.headersOut['Set-Cookie'];
  const facts = {
    issuer: settings.issuer,
    session: answer.session,
    client: r.variables.sparekey_client,
    redirect: answer.redirect,
    address: clientAddress(r),
  };
  const isDecided = await claim.holds(r.variables.sparekey_claim, facts, python.policyVersion());
  r.headersOut['Location'] = location;
  r.headersOut['Set-Cookie'] = cookies;
  if (isDecided) {
    tell(r, 'decided');
    onPiece = pass;
  } else {
    undecided(r);
  }
}

// Return what a redirect states that a claim may have been made for, or null.
function claimed(r, location) {
  const isRedirect = r.status === 302 || r.status === 303;
  return r.variables.sparekey_claim && isRedirect && location ? stated(location) : null;
}

function remember(r) {
  const target = r.variables.request_uri;
  if (target.length > LONGEST_TARGET || !target.includes('client_id=')) {
    return;
  }
  const known = request.browser(r);
  const browser = known || claim.newBrowser();
  python.remember(browser, target);
  if (!known) {
    const cookie = `${settings.requests.name}=${browser}${settings.requests.attributes}`;
    r.headersOut['Set-Cookie'] = (r.headersOut['Set-Cookie'] || []).concat(cookie);
  }
}

// Read the page before it passes: the link goes in, and a form that hands something over does not pass.
function readPage(r) {
  const page = { pieces: [], bytes: 0, stated: Number(r.headersOut['Content-Length'] || -1) };
  onPiece = (_, data, flags) => keepPiece(r, page, data, flags.last);
  delete r.headersOut['Content-Length'];
  delete r.headersOut['ETag'];
  delete r.headersOut['Last-Modified'];
}

// Look at a head that signs nobody in.
function passHead(r) {
  const lane = r.variables.sparekey_lane;
  const mayBePage = isPage(r);
  if (mayBePage && !isReadable(r)) {
    undecided(r);
    return;
  }
  if (lane !== 'documents' && r.status < 400 && r.variables.uri === settings.authorization_path) {
    remember(r);
  }
  if (mayBePage && r.method !== 'HEAD') {
    readPage(r);
  } else {
    onPiece = pass;
  }
}

// Check one head. Lanes: `documents` (public ones), `direct` (plain requests for a code), `fault` (all, while
// the gateway is gone); what came through the gateway was checked there.
function head(r) {
  const location = r.headersOut['Location'];
  const refresh = r.headersOut['Refresh'];
  const cookies = dropOwn(r);
  const answer = refresh ? null : claimed(r, location);
  if (answer) {
    weigh(r, answer);
  } else if (refresh || (location && handsOver(location)) || beginsSession(cookies)) {
    undecided(r);
  } else {
    passHead(r);
  }
}

// Tell whether a page hands something over, or may.
function isUnsafe(text) {
  FIELD.lastIndex = 0;
  for (let found = FIELD.exec(text); found; found = FIELD.exec(text)) {
    if (settings.handed_over.includes(found[1].toLowerCase())) {
      return true;
    }
  }
  return REFRESH.test(text);
}

// Return a page with the link; as it came where it does not fit, or is not in UTF-8.
function linked(r, bytes, text) {
  const isWhole = !text.includes('\ufffd') && r.variables.sparekey_lane !== 'documents';
  return isWhole && link.insert(text, r.variables.request_uri) || bytes;
}

// Return a whole page as it may pass: with the link, or another in its place. Null is one that was too long.
function checked(r, bytes) {
  const text = bytes && bytes.toString();
  if (bytes && !isUnsafe(text)) {
    return linked(r, bytes, text);
  }
  const isFault = presentLane(r) === 'fault';
  if (bytes && isFault && python.releasesOnFault()) {
    tell(r, 'fault_released');
    return bytes;
  }
  tell(r, isFault ? 'fault_denied' : 'refused');
  return withReference(r, settings.unverified);
}

// Keep the pieces of a page until it is whole.
function keepPiece(r, page, data, isLast) {
  page.bytes += data.length;
  if (page.bytes <= settings.page_bytes) {
    page.pieces.push(data);
  }
  if (isLast || page.bytes === page.stated) {
    const isKept = page.bytes <= settings.page_bytes;
    finish(r, checked(r, isKept ? Buffer.concat(page.pieces) : null));
  }
}

// Take one piece of a body.
function body(r, data, flags) {
  onPiece(r, data, flags);
}

// Say that somebody behind us does not answer: of one request this releases nothing.
function unanswered(r) {
  r.variables.sparekey_why = 'unanswered';
  setPageFields(r);
  r.return(503, withReference(r, settings.outage));
}

export default { body, head, unanswered };
