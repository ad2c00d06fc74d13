// Small enhancements; every page works without JavaScript.
"use strict";

// Select all dead letters of a page, and show how many are selected.
function countSelected() {
  const selected = document.querySelectorAll('input[name="dead_letter"]:checked').length;
  const counter = document.querySelector("[data-selected-count]");
  if (counter) counter.textContent = selected ? `(${selected})` : "";
}

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-select-all]")) {
    document.querySelectorAll('input[name="dead_letter"]').forEach((box) => { box.checked = event.target.checked; });
  }
  if (event.target.matches('[data-select-all], input[name="dead_letter"]')) countSelected();
});

// "/" focuses the search field, except while typing in another field.
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

// A form is submitted only once, even on a double click.
document.addEventListener("submit", (event) => {
  if (event.target.method !== "post") return;
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "yes";
});
window.addEventListener("pageshow", () => {
  document.querySelectorAll("form[data-sent]").forEach((form) => { delete form.dataset.sent; });
  countSelected();
});
