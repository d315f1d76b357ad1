// What every page gains from a script; each works without.

const language = document.documentElement.lang || undefined;

// Times in the reader's own zone, in the same digits as the server's sentences.
const shapes = {
  time: { timeStyle: "short" },
  date: { dateStyle: "long" },
  both: { dateStyle: "long", timeStyle: "short" },
};
for (const element of document.querySelectorAll("time[data-show]")) {
  const moment = new Date(element.dateTime);
  element.textContent = new Intl.DateTimeFormat(language, {
    ...shapes[element.dataset.show],
    numberingSystem: "latn",
  }).format(moment);
}

// After an error, the summary is where reading goes on.
const summary = document.querySelector("[data-focus]");
if (summary) summary.focus();

// Asking for another code waits visibly, until the time that the server named.
for (const form of document.querySelectorAll("form[data-resend-at]")) {
  const button = form.querySelector("button");
  const words = button.textContent;
  const at = Date.parse(form.dataset.resendAt);
  const seconds = new Intl.NumberFormat(language, {
    style: "unit",
    unit: "second",
    unitDisplay: "narrow",
    numberingSystem: "latn",
  });
  const tick = () => {
    const left = Math.ceil((at - Date.now()) / 1000);
    button.textContent = left > 0 ? `${words} (${seconds.format(left)})` : words;
    if (left > 0) button.setAttribute("aria-disabled", "true");
    else button.removeAttribute("aria-disabled");
    if (left > 0) setTimeout(tick, 1000);
  };
  tick();
}

// A form that only carries something on needs no press.
const carrying = document.querySelector("form[data-carries-on]");
if (carrying) carrying.requestSubmit();

// Printing what the page shows.
for (const button of document.querySelectorAll("button[data-print]")) {
  button.addEventListener("click", () => window.print());
}

// A button that cannot be used yet, or was pressed already, does nothing.
document.addEventListener("submit", (event) => {
  const form = event.target;
  const waits = form.querySelector("button[aria-disabled=true]");
  if (waits || form.dataset.sent) event.preventDefault();
  else if (!event.defaultPrevented) form.dataset.sent = "yes";
});
window.addEventListener("pageshow", () => {
  for (const form of document.forms) delete form.dataset.sent;
});
