// Signs in as applications without a server do: first in a hidden frame, without a question; and only where
// that is refused with the whole window. What it learns stands in #signed-in.
"use strict";

const asked = new URLSearchParams(location.search);
const arrived = location.pathname === "/callback";

if (arrived && window.parent !== window) {
  window.parent.postMessage(location.search, location.origin);
} else if (arrived) {
  returned(asked);
} else {
  signIn();
}

async function signIn() {
  const configuration = await (await fetch("/configuration.json")).json();
  const silent = await inFrame(configuration);
  if (silent.code) {
    show(silent);
    return;
  }
  const begun = await begin(configuration, {});
  const wanted = location.pathname + location.search;
  sessionStorage.setItem("begun", JSON.stringify({ ...begun, wanted, refused: silent.error }));
  location.assign(begun.address);
}

function returned(answer) {
  const begun = JSON.parse(sessionStorage.getItem("begun"));
  sessionStorage.removeItem("begun");
  history.replaceState(null, "", begun.wanted);
  show({ ...read(answer, begun), refused: begun.refused });
}

async function inFrame(configuration) {
  const begun = await begin(configuration, { prompt: "none" });
  const frame = document.createElement("iframe");
  frame.hidden = true;
  frame.src = begun.address;
  const answer = await new Promise((resolve) => {
    window.addEventListener("message", (message) => {
      if (message.source === frame.contentWindow && message.origin === location.origin) resolve(message.data);
    });
    document.body.append(frame);
  });
  frame.remove();
  return read(new URLSearchParams(answer), begun);
}

function read(answer, begun) {
  if (answer.get("state") !== begun.state) return { error: "state" };
  if (answer.get("iss") !== begun.issuer) return { error: "issuer" };
  return { code: answer.get("code"), error: answer.get("error"), verifier: begun.verifier, nonce: begun.nonce };
}

async function begin(configuration, more) {
  const [state, nonce, verifier] = [random(), random(), random()];
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  const query = new URLSearchParams({
    response_type: "code",
    client_id: configuration.client_id,
    redirect_uri: `${location.origin}/callback`,
    scope: "openid",
    state,
    nonce,
    code_challenge: base64(new Uint8Array(digest)),
    code_challenge_method: "S256",
    ...more,
  });
  const address = `${configuration.authorization_endpoint}?${query}`;
  return { state, nonce, verifier, issuer: configuration.issuer, address };
}

function random() {
  return base64(crypto.getRandomValues(new Uint8Array(32)));
}

function base64(bytes) {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function show(what) {
  document.querySelector("#signed-in").textContent = JSON.stringify(what);
}
