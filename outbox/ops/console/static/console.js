// The little that forms and links cannot do alone. Everything works without it.
"use strict";

// Tick all letters of a page, and say how many are ticked.
function countTicked() {
  const ticked = document.querySelectorAll('input[name="letter"]:checked').length;
  const place = document.querySelector("[data-ticked]");
  if (place) place.textContent = ticked ? `(${ticked})` : "";
}

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-tick-all]")) {
    document.querySelectorAll('input[name="letter"]').forEach((box) => { box.checked = event.target.checked; });
  }
  if (event.target.matches('[data-tick-all], input[name="letter"]')) countTicked();
});

// "/" goes to the search field, as in most tools; never while somebody is typing.
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select");
  if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const field = document.querySelector('[data-shortcut="/"]');
  if (field) {
    event.preventDefault();
    field.focus();
    field.select();
  }
});

// A decision is sent once, also by an impatient double click.
document.addEventListener("submit", (event) => {
  if (event.target.method !== "post") return;
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "yes";
});
window.addEventListener("pageshow", () => {
  document.querySelectorAll("form[data-sent]").forEach((form) => { delete form.dataset.sent; });
  countTicked();
});
