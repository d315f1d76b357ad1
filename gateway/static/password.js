// Shows and hides a password, and ticks its rules as they hold. The rules themselves live on the server.

for (const button of document.querySelectorAll("[data-shows]")) {
  const field = document.getElementById(button.dataset.shows);
  const show = (visible) => {
    field.type = visible ? "text" : "password";
    button.textContent = visible ? button.dataset.hideWord : button.dataset.showWord;
    button.setAttribute("aria-pressed", String(visible));
  };
  button.addEventListener("click", () => show(field.type === "password"));
  // A browser that remembers form fields must not remember this one.
  field.form.addEventListener("submit", () => show(false));
}

const form = document.querySelector("form[data-findings]");
const field = form.elements.password;
const live = form.querySelector("[data-live]");
const strength = form.querySelector("[data-strength]");
const advice = form.querySelector("[data-advice]");
let asked = 0;

function paint(findings) {
  const failing = [];
  for (const { rule, holds, score, advice: said } of findings) {
    if (score !== undefined) {
      strength.dataset.score = score;
      advice.textContent = said;
    }
    const item = form.querySelector(`[data-rule="${CSS.escape(rule)}"]`);
    if (!item) continue;
    item.classList.toggle("holds", holds === true);
    item.classList.toggle("fails", holds === false);
    const word = holds === null ? "" : holds ? live.dataset.fits : live.dataset.fails;
    item.querySelector("[data-state]").textContent = word && ` – ${word}`;
    if (holds === false) failing.push(item.textContent.trim());
  }
  live.textContent = [...failing, failing.length ? "" : live.dataset.fits, advice.textContent].filter(Boolean).join(". ");
}

function clear() {
  delete strength.dataset.score;
  advice.textContent = advice.dataset.hint;
  live.textContent = "";
  for (const item of form.querySelectorAll("[data-rule]")) {
    item.classList.remove("holds", "fails");
    item.querySelector("[data-state]").textContent = "";
  }
}

async function ask() {
  const mine = ++asked;
  if (!field.value) {
    clear();
    return;
  }
  const answer = await fetch(form.dataset.findings, {
    method: "POST",
    body: new URLSearchParams({ password: field.value, csrf_token: form.elements.csrf_token.value }),
  });
  // A slower answer to older letters is no longer news.
  if (answer.ok && mine === asked) paint(await answer.json());
}

let pause;
field.addEventListener("input", () => {
  clearTimeout(pause);
  pause = setTimeout(ask, 250);
});
// What the server suggested it has judged already.
if (field.value && !("suggested" in field.dataset)) ask();
