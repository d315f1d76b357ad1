// The link on sign-in pages, byte for byte as `gateway/interception/link.py` puts it.
import settings from 'settings.js';

const OPENING = '<p id="sparekey-link"';
const LONGEST_RETURN_PATH = 8192;
const LONGEST_HEAD = 4096;
const HTML_TAG = /<html\b[^>]*>/i;
const LANGUAGE = /\slang\s*=\s*["']?([A-Za-z]{2,3})(?![A-Za-z])/i;
const PASSWORD = /<input\b[^>]*\stype\s*=\s*["']?password\b/i;
const ACTION = /\saction\s*=\s*(?:"([^"]*)"|'([^']*)')/i;
const SIGN_IN_FORM = 'id="kc-form-login"';
const PASSWORD_FORM = 'id="kc-passwd-update-form"';
const ERROR_PAGE = 'data-page-id="login-error"';
const ERROR_MESSAGE = 'id="kc-error-message"';
const ORIGIN = /^https?:\/\/[^\/?#]*/i;
const ONE_TIME = /^(?:session_code|execution)=/;
const NOT_IN_PATH = /[^!-~]/;
const TO_QUOTE = /[%"#&'+;<>\\^`{|}]/g;
const ENTITY = /&(?:#(\d+)|#x([0-9a-f]+)|(amp|quot|apos|lt|gt));/gi;
const ENTITIES = { amp: '&', quot: '"', apos: "'", lt: '<', gt: '>' };
const INERT = [
  ['<!--', '-->'],
  ['<script', '</script'],
  ['<style', '</style'],
  ['<textarea', '</textarea'],
  ['<template', '</template'],
];

function unescaped(text) {
  return text.replace(ENTITY, (entity, decimal, hexadecimal, name) => {
    if (name) {
      return ENTITIES[name] || entity;
    }
    const number = decimal ? parseInt(decimal, 10) : parseInt(hexadecimal, 16);
    return number < 128 ? String.fromCharCode(number) : entity;
  });
}

// Return the end of the form around a position, and its action, or null.
function afterForm(page, inside) {
  const opens = page.slice(0, inside).lastIndexOf('<form');
  const tag = opens < 0 ? null : page.slice(opens).match(/^<form\b[^>]*>/);
  const closes = opens < 0 ? -1 : page.indexOf('</form>', opens);
  if (!tag || closes < inside) {
    return null;
  }
  const action = tag[0].match(ACTION);
  return { at: closes + '</form>'.length, action: unescaped(action && (action[1] || action[2]) || '') };
}

function afterErrorMessage(page) {
  const message = page.indexOf(ERROR_MESSAGE);
  const closes = message < 0 ? -1 : page.indexOf('</p>', message);
  return closes < 0 ? null : { at: closes + '</p>'.length, action: '' };
}

// Tell whether a position lies inside a comment, a script or the like.
function isInert(page, at) {
  const before = page.slice(0, at).toLowerCase();
  return INERT.some(ends => {
    const opened = before.lastIndexOf(ends[0]);
    return opened >= 0 && before.indexOf(ends[1], opened) < 0;
  });
}

// Find the end of the sign-in form, or of Keycloak's error message.
function placeOn(page) {
  const marked = page.indexOf(SIGN_IN_FORM);
  const form = marked >= 0 ? marked : page.indexOf(PASSWORD_FORM);
  if (form >= 0) {
    return afterForm(page, form);
  }
  if (page.includes(ERROR_PAGE)) {
    return afterErrorMessage(page);
  }
  const password = page.search(PASSWORD);
  const place = password < 0 ? null : afterForm(page, password);
  return place && !isInert(page, place.at) ? place : null;
}

// Return the language that the page states, if we speak it; else English.
function languageOf(page) {
  const tag = page.slice(0, LONGEST_HEAD).match(HTML_TAG);
  const stated = tag && tag[0].match(LANGUAGE);
  const language = stated ? stated[1].toLowerCase() : 'en';
  return settings.wording[language] ? language : 'en';
}

// Return where the same sign-in goes on, as a path of this origin; empty where there is none.
function returnPath(action, target) {
  // Security: of an absolute action only the path is taken: no page sends people to another origin.
  let back = action.includes('/login-actions/') ? action.replace(ORIGIN, '') : target;
  const mark = back.indexOf('?');
  if (mark >= 0) {
    const kept = back.slice(mark + 1).split('&').filter(pair => !ONE_TIME.test(pair)).join('&');
    back = back.slice(0, kept ? mark + 1 : mark) + kept;
  }
  const fits = back.length <= LONGEST_RETURN_PATH && /^\/(?![\/\\])/.test(back) && !NOT_IN_PATH.test(back);
  return fits ? back : '';
}

function quoted(text) {
  return text.replace(TO_QUOTE, character => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}

function linkOf(back, language) {
  const query = `${back && `return_to=${quoted(back)}&amp;`}lang=${language}`;
  const opening = `${OPENING} lang="${language}" dir="${language === 'ar' ? 'rtl' : 'ltr'}">`;
  return `${opening}<a href="${settings.prefix}/reset?${query}">${settings.wording[language]}`;
}

// Return the page with the link, or null where it does not fit.
function insert(page, target) {
  const place = placeOn(page);
  if (!place || page.startsWith(OPENING, place.at)) {
    return null;
  }
  const link = linkOf(returnPath(place.action, target), languageOf(page));
  return page.slice(0, place.at) + link + page.slice(place.at);
}

export default { insert };
