// A relying party on the npm package `openid-client`. It is told over HTTP what to ask for and what came
// back, answers JSON, and verifies by the package's own rules. It keeps no browser: the test is the browser.

import { randomUUID } from "node:crypto";
import http from "node:http";
import * as oidc from "openid-client";

const port = Number(process.argv[2]);
const begun = new Map();
const requests = new Map();
const keys = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
const signing = { key: keys.privateKey, kid: "jar" };
const jwks = { keys: [{ ...(await crypto.subtle.exportKey("jwk", keys.publicKey)), kid: "jar", alg: "ES256", use: "sig" }] };

async function configured({ issuer, client_id, client_secret }) {
  const authentication = client_secret ? oidc.ClientSecretBasic(client_secret) : oidc.None();
  const config = await oidc.discovery(new URL(issuer), client_id, client_secret, authentication, {
    execute: [oidc.allowInsecureRequests],
  });
  oidc.enableNonRepudiationChecks(config);
  return config;
}

const FLOWS = {
  code: () => {},
  jarm: oidc.useJwtResponseMode,
  hybrid: oidc.useCodeIdTokenResponseType,
  implicit: oidc.useIdTokenResponseType,
};

async function begin(asked) {
  const config = await configured(asked);
  FLOWS[asked.flow](config);
  const id = randomUUID();
  const checks = { expectedState: oidc.randomState(), expectedNonce: oidc.randomNonce() };
  const parameters = {
    scope: "openid profile",
    redirect_uri: asked.redirect_uri,
    state: checks.expectedState,
    nonce: checks.expectedNonce,
    ...asked.parameters,
  };
  if (asked.flow !== "implicit") {
    checks.pkceCodeVerifier = oidc.randomPKCECodeVerifier();
    parameters.code_challenge = await oidc.calculatePKCECodeChallenge(checks.pkceCodeVerifier);
    parameters.code_challenge_method = "S256";
  }
  if (asked.parameters.max_age !== undefined) checks.maxAge = Number(asked.parameters.max_age);
  begun.set(id, { config, checks, flow: asked.flow });
  const url = await address(config, parameters, asked.send);
  // The package asks for `jwt` whichever of the four was named.
  if (asked.flow === "jarm") url.searchParams.set("response_mode", asked.parameters.response_mode);
  return { id, url: url.href };
}

async function address(config, parameters, send) {
  if (send === "pushed") return oidc.buildAuthorizationUrlWithPAR(config, parameters);
  if (send === "plain") return oidc.buildAuthorizationUrl(config, parameters);
  const url = await oidc.buildAuthorizationUrlWithJAR(config, parameters, signing);
  if (send === "by_reference") {
    const id = randomUUID();
    requests.set(id, url.searchParams.get("request"));
    url.searchParams.delete("request");
    url.searchParams.set("request_uri", `http://127.0.0.1:${port}/request/${id}`);
  }
  return url;
}

async function finish({ id, url, form }) {
  const { config, checks, flow } = begun.get(id);
  let current = new URL(url);
  if (form) {
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    current = new Request(url, { method: "POST", headers, body: new URLSearchParams(form) });
  } else if (current.hash && (flow === "code" || flow === "jarm")) {
    // A page in the browser would read the fragment and hand on what it says.
    current = new URL(`${current.origin}${current.pathname}?${current.hash.slice(1)}`);
  }
  if (flow === "implicit") {
    return { claims: await oidc.implicitAuthentication(config, current, checks.expectedNonce, checks) };
  }
  const tokens = await oidc.authorizationCodeGrant(config, current, checks);
  return { claims: tokens.claims(), tokens };
}

async function grant(asked) {
  const config = await configured(asked);
  const tokens = await oidc.genericGrantRequest(config, asked.grant_type, asked.parameters);
  return { claims: tokens.claims() ?? {}, tokens };
}

async function device(asked) {
  return oidc.initiateDeviceAuthorization(await configured(asked), asked.parameters);
}

const ACTIONS = { "/begin": begin, "/finish": finish, "/grant": grant, "/device": device };

function told(error) {
  const said = error.cause ?? {};
  const parameters = said instanceof URLSearchParams ? Object.fromEntries(said) : { ...said };
  return {
    refused: error.error ?? parameters.error ?? error.code ?? error.name,
    description: error.error_description ?? error.message,
    error_uri: parameters.error_uri ?? "",
    status: error.status ?? 0,
  };
}

async function answer(request) {
  if (request.url === "/jwks") return jwks;
  let body = "";
  for await (const piece of request) body += piece;
  try {
    return await ACTIONS[request.url](JSON.parse(body));
  } catch (error) {
    return told(error);
  }
}

http
  .createServer(async (request, response) => {
    const object = requests.get(request.url.replace("/request/", ""));
    const type = object ? "application/oauth-authz-req+jwt" : "application/json";
    response.setHeader("content-type", type);
    response.end(object ?? JSON.stringify(await answer(request)));
  })
  .listen(port, "127.0.0.1");
