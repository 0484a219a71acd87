// What the page is made of. Elements and text nodes only: nothing that a caller or receiver once wrote is parsed as HTML.

import { amount, moment, text } from "./language.js";

const SVG = "http://www.w3.org/2000/svg";

/** An element. An attribute that is a function listens to the event of its name; true is an attribute without a
 *  value; null, undefined and false leave an attribute or a child out. Strings and numbers become text. */
export function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/** The same for the elements of a drawing. */
export function drawn(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") made.addEventListener(name, value);
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

let lastId = 0;

/** An id that is nobody else's on the page. */
function newId(stem) {
  lastId += 1;
  return `${stem}-${lastId}`;
}

/** Tells who does not see the page what has just come. Said again, the same words are heard again. */
export function announce(words) {
  const region = document.getElementById("announcements");
  region.textContent = "";
  setTimeout(() => (region.textContent = words), 50);
}

// ------------------------------------------------------------------------------------------------------------ words

/** A moment in the browser's zone; UTC, with its milliseconds, in the title. */
export function time(timeMs) {
  if (timeMs === null || timeMs === undefined) return "–";
  const iso = new Date(timeMs).toISOString();
  return element("time", { datetime: iso, title: iso.replace("T", " ").replace("Z", " UTC") }, moment(timeMs));
}

export function code(words) {
  return element("code", {}, words);
}

/** One word on a tinted ground; `tone` is good, warn, bad or calm. */
export function badge(words, tone) {
  return element("span", { class: `badge ${tone}` }, words);
}

export function link(href, ...children) {
  return element("a", { href }, ...children);
}

/** Points, exactly as the server wrote them, grouped for the eye. */
export function points(value) {
  return element("span", { class: value.startsWith("-") ? "number negative" : "number" }, amount(value));
}

const NOTIFICATION_TONES = { pending: "calm", retrying: "warn", held: "warn", delivered: "good", dead: "bad" };

export function notificationStatus(status) {
  return badge(text(`status.${status}`), NOTIFICATION_TONES[status] ?? "calm");
}

// -------------------------------------------------------------------------------------------------- tables and facts

/** A table that turns into cards where the window is narrow. Columns: {title, cell(row), numeric, wide}; the first one
 *  names the row. The roles are written out because a table laid out as blocks loses them in some screen readers. */
export function table(caption, columns, rows) {
  const cell = (column, place, row) =>
    element(
      place === 0 ? "th" : "td",
      {
        role: place === 0 ? "rowheader" : "cell",
        scope: place === 0 ? "row" : null,
        class: [column.numeric && "number", column.wide && "wide"].filter(Boolean).join(" ") || null,
        "data-title": column.title,
      },
      column.cell(row),
    );
  const bodyRow = (row) =>
    element(
      "tr",
      { role: "row" },
      columns.map((column, place) => cell(column, place, row)),
    );
  const body = element("tbody", { role: "rowgroup" }, rows.map(bodyRow));
  const made = element(
    "table",
    { role: "table", class: "cards" },
    element("caption", { class: "unseen" }, caption),
    element(
      "thead",
      { role: "rowgroup" },
      element(
        "tr",
        { role: "row" },
        columns.map((column) =>
          element("th", { role: "columnheader", scope: "col", class: column.numeric ? "number" : null }, column.title),
        ),
      ),
    ),
    body,
  );
  return { node: element("div", { class: "table" }, made), add: (more) => body.append(...more.map(bodyRow)), body };
}

/** Names and what they stand for; what is null is left out. */
export function facts(pairs) {
  return element(
    "dl",
    { class: "facts" },
    Object.entries(pairs)
      .filter(([, value]) => value !== null && value !== undefined && value !== false && value !== "")
      .map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))),
  );
}

export function panel(title, ...children) {
  const id = newId("panel");
  return element("section", { class: "panel", "aria-labelledby": id }, element("h2", { id }, title), ...children);
}

export function empty(words, ...children) {
  return element("div", { class: "empty" }, element("p", {}, words), ...children);
}

// ------------------------------------------------------------------------------------------------------------- forms

export function button(words, click, { kind = "plain", ...attributes } = {}) {
  return element("button", { type: "button", class: kind, click, ...attributes }, words);
}

/** A control under its label, with a hint where one helps. */
export function field(label, control, { hint = null, wide = false } = {}) {
  control.id ||= newId("field");
  const hintId = hint && `${control.id}-hint`;
  if (hintId) control.setAttribute("aria-describedby", hintId);
  return element(
    "div",
    { class: wide ? "field wide" : "field" },
    element("label", { for: control.id }, label),
    control,
    hint && element("p", { class: "hint", id: hintId }, hint),
  );
}

export function input(name, value, attributes = {}) {
  return element("input", { name, type: "text", value, autocomplete: "off", spellcheck: "false", ...attributes });
}

/** Choices: [value, words] each. */
export function select(name, chosen, choices, attributes = {}) {
  return element(
    "select",
    { name, ...attributes },
    choices.map(([value, words]) => element("option", { value, selected: String(value) === String(chosen) }, words)),
  );
}

/** A box to tick, with its words. */
export function choice(name, value, words, checked) {
  return element("label", {}, element("input", { type: "checkbox", name, value, checked }), words);
}

/** A form that calls `submit` with its fields; a required one that is empty is pointed out first. */
export function form(submit, ...children) {
  const made = element("form", { novalidate: true }, ...children);
  made.addEventListener("submit", (event) => {
    event.preventDefault();
    const missing = [...made.elements].filter((control) => {
      const lacks = control.required && control.value.trim() === "";
      markMissing(control, lacks);
      return lacks;
    });
    if (missing.length) missing[0].focus();
    else submit(Object.fromEntries([...new FormData(made)].map(([name, value]) => [name, value.trim()])));
  });
  return made;
}

function markMissing(control, lacks) {
  if (!control.required) return;
  const id = `${control.id}-missing`;
  document.getElementById(id)?.remove();
  const others = (control.getAttribute("aria-describedby") ?? "").split(" ").filter((other) => other && other !== id);
  control.toggleAttribute("aria-invalid", lacks);
  if (lacks) {
    control.setAttribute("aria-invalid", "true");
    control.after(element("p", { class: "fault", id }, text("form.missing")));
    others.push(id);
  }
  if (others.length) control.setAttribute("aria-describedby", others.join(" "));
  else control.removeAttribute("aria-describedby");
}

/** Runs what a button does, once at a time; what fails is told by `failed`. */
export async function busy(pressed, work, failed) {
  if (pressed.getAttribute("aria-busy") === "true") return;
  pressed.setAttribute("aria-busy", "true");
  try {
    await work();
  } catch (failure) {
    failed(failure);
  } finally {
    pressed.removeAttribute("aria-busy");
  }
}

// ----------------------------------------------------------------------------------------------------------- dialogs

/** Asks before something is done, and does it: says what will happen, and stays open while it happens and when it fails.
 *  Gives back what `act` gave, or null where the user did not want it. `act` is told by a signal when the user presses
 *  Stop, if it is `stoppable`: it then ends after the step under way. The focus begins at the first field, or at Cancel. */
export function ask({ title, about, confirm, kind = "main", act, explain, stoppable = false }) {
  const stop = new AbortController();
  const fault = element("div", { role: "alert" });
  let result = null;
  const isBusy = () => go.getAttribute("aria-busy") === "true";
  const cancel = button(text("dialog.cancel"), () => (isBusy() ? stop.abort() : made.close()));
  const go = button(
    confirm,
    () =>
      busy(
        go,
        async () => {
          fault.replaceChildren();
          if (stoppable) cancel.textContent = text("dialog.stop");
          else cancel.disabled = true;
          result = await act(stop.signal);
          made.close();
        },
        (failure) => {
          cancel.textContent = text("dialog.cancel");
          cancel.disabled = false;
          fault.replaceChildren(explain(failure));
        },
      ),
    { kind },
  );
  const keepsOpen = (event) => isBusy() && event.preventDefault();
  const made = dialog(title, { cancel: keepsOpen }, about, fault, element("div", { class: "buttons" }, cancel, go));
  return closed(made).then(() => result);
}

/** Shows what is shown once: only its own button closes it. Secrets: {label: value}. */
export function reveal({ title, about, secrets }) {
  const told = element("p", { class: "hint", role: "status" });
  const fields = Object.entries(secrets).map(([label, secret]) => {
    const shown = input("secret", secret, { readonly: true, class: "secret" });
    const copy = async () => {
      shown.select();
      try {
        await navigator.clipboard.writeText(secret);
        told.textContent = text("secret.copied", { label });
      } catch {
        told.textContent = text("secret.copy_by_hand"); // no permission, or a page that came over plain http
      }
    };
    const name = text("secret.copy_which", { label });
    const copyButton = button(text("secret.copy"), copy, { "aria-label": name });
    return element("div", { class: "beside" }, field(label, shown), copyButton);
  });
  const stored = button(text("secret.stored"), () => made.close(), { kind: "main" });
  const keepsOpen = (event) => event.preventDefault();
  const made = dialog(title, { cancel: keepsOpen }, about, fields, told, element("div", { class: "buttons" }, stored));
  return closed(made);
}

function dialog(title, attributes, about, ...children) {
  const id = newId("dialog");
  const words = { id: `${id}-about`, class: "about" };
  return element(
    "dialog",
    { "aria-labelledby": id, "aria-describedby": words.id, ...attributes },
    element("h2", { id }, title),
    element("div", words, about),
    children,
  );
}

/** Opens a dialog, and waits until it is closed; the focus goes back to where it was. */
function closed(made) {
  document.body.append(made);
  made.showModal();
  return new Promise((resolve) => {
    made.addEventListener("close", () => {
      made.remove();
      resolve();
    });
  });
}
