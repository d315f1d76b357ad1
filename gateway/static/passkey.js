// Passkeys: the form's button asks the device, and the form goes out with what the device signed.
//
// The server states the options as JSON, bytes in Base64url; the answer goes back in the same writing.

const toBytes = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
const toText = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
const withBytes = (listed) => (listed ?? []).map((each) => ({ ...each, id: toBytes(each.id) }));

function forDevice(options) {
  return {
    ...options,
    challenge: toBytes(options.challenge),
    ...(options.user && { user: { ...options.user, id: toBytes(options.user.id) } }),
    ...(options.allowCredentials && { allowCredentials: withBytes(options.allowCredentials) }),
    ...(options.excludeCredentials && { excludeCredentials: withBytes(options.excludeCredentials) }),
  };
}

function forServer({ id, rawId, type, response }) {
  const answer = { clientDataJSON: toText(response.clientDataJSON) };
  for (const part of ["attestationObject", "authenticatorData", "signature"]) {
    if (response[part]) answer[part] = toText(response[part]);
  }
  if (response.getTransports) answer.transports = response.getTransports();
  return JSON.stringify({ id, rawId: toText(rawId), type, response: answer });
}

for (const box of document.querySelectorAll("[data-passkey]")) {
  const form = box.closest("form");
  const field = box.querySelector("input");
  const complaint = box.querySelector("[role=alert]");
  let waiting = false;
  form.addEventListener("submit", async (event) => {
    if (field.value) return;
    event.preventDefault();
    if (waiting) return;
    waiting = true;
    complaint.textContent = "";
    try {
      const publicKey = forDevice(JSON.parse(box.dataset.passkey));
      field.value = forServer(await navigator.credentials[box.dataset.does]({ publicKey }));
      form.submit();
    } catch (error) {
      const known = { InvalidStateError: box.dataset.there, NotAllowedError: box.dataset.stopped };
      complaint.textContent = known[error.name] ?? box.dataset.cannot;
    } finally {
      waiting = false;
    }
  });
}
// Coming back to the page asks the device anew: what it signed was good once.
window.addEventListener("pageshow", () => {
  for (const field of document.querySelectorAll("[data-passkey] input")) field.value = "";
});
