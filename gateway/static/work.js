// Proof of work: find the number whose hash the server asked for, while the person types.
//
// The page's form states the challenge: SHA-256(salt + number) = challenge, for a number up to `maxnumber`.
// The same file runs as a worker, so that the page stays quick.

const BATCH = 256;

async function solve({ challenge, salt, maxnumber }, progress) {
  const text = new TextEncoder();
  const wanted = challenge.match(/../g).map((pair) => parseInt(pair, 16));
  const fits = async (number) => {
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", text.encode(salt + number)));
    return wanted.every((byte, at) => hash[at] === byte);
  };
  for (let first = 0; first <= maxnumber; first += BATCH) {
    const numbers = Array.from({ length: Math.min(BATCH, maxnumber - first + 1) }, (_, at) => first + at);
    const hits = await Promise.all(numbers.map(fits));
    if (hits.includes(true)) return first + hits.indexOf(true);
    progress(first / maxnumber);
  }
  throw new Error("the challenge has no answer");
}

function solveBeside(challenge, progress) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(import.meta.url, { type: "module" });
    worker.onmessage = ({ data }) => ("number" in data ? resolve(data.number) : progress(data.done));
    worker.onerror = reject;
    worker.postMessage(challenge);
  });
}

function startOn(form) {
  const challenge = JSON.parse(form.dataset.work);
  const box = form.querySelector("[data-progress]");
  let waiting = false;
  const progress = (done) => (box.querySelector("progress").value = done);
  const answer = solveBeside(challenge, progress)
    .catch(() => solve(challenge, progress))
    .then((number) => {
      form.elements.work.value = btoa(JSON.stringify({ ...challenge, number }));
      if (waiting) form.submit();
    })
    // Without an answer the form goes out all the same: the server then lets time pass instead.
    .catch(() => waiting && form.submit());
  form.addEventListener("submit", (event) => {
    if (form.elements.work.value) return;
    event.preventDefault();
    waiting = true;
    box.hidden = false;
  });
  return answer;
}

if (typeof document === "undefined") {
  onmessage = async ({ data }) => {
    const number = await solve(data, (done) => postMessage({ done }));
    postMessage({ number });
  };
} else {
  for (const form of document.querySelectorAll("form[data-work]")) startOn(form);
}
