// What is exchanged with the gateway besides requests: what browsers asked for, what was counted, what holds now.
import settings from 'settings.js';

const EVERY_MS = 500;
const TURN_MS = 2500;
const FAILURES = 3;
const MOST_WAITING = 5000;
const MOST_AT_ONCE = 200;
const STATE = /^version=(\d+)\nfault=([a-z]+)\n$/;

// Post to the gateway's own socket; return what it says, or null.
async function post(path, body) {
  try {
    const sent = { method: 'POST', body: body, headers: { Host: 'sparekey' } };
    const answer = await ngx.fetch(`http://unix:${settings.socket}:${path}`, sent);
    return answer.status === 200 ? await answer.text() : null;
  } catch (failed) {
    return null;
  }
}

// Keep an authorization request for the gateway; it needs them when it holds an answer.
function remember(browser, target) {
  const asked = ngx.shared.sparekey_asked;
  if (asked.size() < MOST_WAITING) {
    keep(`${browser} ${target}`);
  }
}

function keep(line) {
  const number = ngx.shared.sparekey_counts.incr('asked', 1, 0);
  try {
    ngx.shared.sparekey_asked.set(String(number), line);
  } catch (full) {
    // What finds no room is lost, as what comes when too many wait.
    ngx.log(ngx.ERR, 'no room for what browsers ask for');
  }
}

// Return what waits, oldest first; nobody else gets it then.
function take() {
  const asked = ngx.shared.sparekey_asked;
  if (asked.size() === 0) {
    return [];
  }
  const numbers = asked.keys(MOST_AT_ONCE).sort((one, other) => one - other);
  return numbers.map(number => asked.pop(number)).filter(line => line !== undefined);
}

// Hand over what waits before a request that the gateway answers: it may be the answer to one of these.
async function handOver(r) {
  const lines = take();
  if (lines.length === 0) {
    return;
  }
  // Not fetched: where nobody listens at the socket, that would run this very handler again, without end.
  const told = await r.subrequest(`${settings.prefix}/-remember`, { method: 'POST', body: lines.join('\n') });
  if (told.status !== 200) {
    lines.forEach(keep);
  }
}

function count(what) {
  ngx.shared.sparekey_counts.incr(`count ${what}`, 1, 0);
}

// Ask what holds now. This, and no person's request, is what tells that the gateway is gone.
async function look() {
  const counts = ngx.shared.sparekey_counts;
  const known = ngx.shared.sparekey_known;
  // Counted before it is asked: nginx ends this where it takes too long.
  const failures = counts.incr('failures', 1, 0);
  const counted = settings.counted.map(what => counts.get(`count ${what}`) || 0);
  const lines = settings.counted.map((what, at) => `${what}=${counted[at]}`).join('\n');
  const state = (await post('/state', lines) || '').match(STATE);
  if (!state) {
    if (failures >= FAILURES) {
      known.set('gone', 'yes');
    }
    return;
  }
  counts.set('failures', 0);
  known.set('version', state[1]);
  known.set('fault', state[2]);
  known.delete('gone');
  settings.counted.forEach((what, at) => counts.incr(`count ${what}`, -counted[at], 0));
}

async function handOverAlone() {
  const lines = take();
  if (lines.length > 0 && await post('/remember', lines.join('\n')) === null) {
    lines.forEach(keep);
  }
}

// Ask for as long as nginx leaves one run alone; the first question of each has all its time.
async function turn() {
  const ends = Date.now() + TURN_MS;
  await look();
  while (Date.now() + EVERY_MS < ends) {
    if (!isGone()) {
      await handOverAlone();
    }
    await new Promise(done => setTimeout(done, EVERY_MS));
    await look();
  }
}

function isGone() {
  return ngx.shared.sparekey_known.get('gone') === 'yes';
}

// Return what nginx takes for true while the gateway is gone.
function gone() {
  return isGone() ? '1' : '';
}

// Return the policy's version in force, or undefined before it was heard.
function policyVersion() {
  return ngx.shared.sparekey_known.get('version');
}

// Tell whether the policy lets everybody through while the gateway is gone; unheard it does not.
function releasesOnFault() {
  return ngx.shared.sparekey_known.get('fault') === 'release';
}

export default { count, gone, handOver, isGone, policyVersion, releasesOnFault, remember, turn };
