// The frame: who is signed in, which screen is shown, in which language. Where one is stands in the address after the #,
// so that a reload, a bookmark and the browser's back button do what they do on any page; it is never sent to a server.

import { badge, busy, button, drawn, element, field, form, input } from "./elements.js";
import { LANGUAGES, moment, preferredLanguage, speak, spoken, text } from "./language.js";
import { Failure, call, explained, token } from "./server.js";

const SCREENS = {
  "": () => import("./overview.js"),
  search: () => import("./search.js"),
  settlements: () => import("./settlements.js"),
  notifications: (id) => (id ? import("./notification.js") : import("./notifications.js")),
  apps: (id) => (id ? import("./app.js") : import("./apps.js")),
};
const MENU = ["", "settlements", "notifications", "apps"];
const SLOW_MS = 300;
const TOKEN = /^[\w.~+/=-]+$/; // else a browser refuses to send it

const header = document.getElementById("header");
const main = document.getElementById("main");

let session = null;
let underWay = new AbortController();
let shown = null; // the path of the screen that is shown
let outcome = null; // what a write came to, told on top of the screen that follows it

async function start() {
  await speak(preferredLanguage());
  addEventListener("hashchange", show);
  document.addEventListener("unauthenticated", () => session !== null && signOut(text("sign_in.again")));
  if (token.get() === null) showSignIn();
  else await resume();
}

/** Goes on with the token that this tab has. */
async function resume() {
  try {
    await openSession();
  } catch (failure) {
    if (failure.status === 401) signOut(text("sign_in.again"));
    else showFailure(failure, resume);
    return;
  }
  showHeader();
  await show();
}

/** `now()` is the server's clock: ranges end there, whatever this machine's says. */
async function openSession() {
  const opened = await call("session");
  const aheadMs = opened.now_ms - Date.now();
  session = { ...opened, now: () => Date.now() + aheadMs };
}

// ------------------------------------------------------------------------------------------------------------ screens

/** Where the address says one is: the screen's name, what follows it, and the query. */
function address() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, ...rest] = path.split("/").map(decoded);
  return { name, id: rest.join("/"), path, query: Object.fromEntries(new URLSearchParams(query)) };
}

/** What somebody typed by hand need not be an encoded text: then it is what it is. */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

async function show() {
  if (session === null) return;
  underWay.abort();
  underWay = new AbortController();
  const { signal } = underWay;
  const { name, id, path, query } = address();
  const module = Object.hasOwn(SCREENS, name) ? SCREENS[name] : SCREENS[""];
  markMenu(name);
  main.setAttribute("aria-busy", "true");
  const slow = setTimeout(
    () => path !== shown && main.replaceChildren(element("p", { class: "quiet" }, text("loading"))),
    SLOW_MS,
  );
  try {
    const { screen: make } = await loaded(module, id);
    const { title, nodes } = await make({ id, query, session, signal, written });
    if (signal.aborted) return;
    render(title, nodes, path);
  } catch (failure) {
    if (signal.aborted) return;
    if (session !== null) showFailure(failure, failure.reloads ? () => location.reload() : show);
  } finally {
    clearTimeout(slow);
    if (!signal.aborted) main.removeAttribute("aria-busy");
  }
}

/** A screen's module. Browsers may keep in mind that one did not load: trying again is loading the page again. */
async function loaded(module, id) {
  try {
    return await module(id);
  } catch (failure) {
    throw Object.assign(new Failure(0, "unreachable"), { cause: failure, reloads: true });
  }
}

/** The focus follows: to what a write came to, to the results of a form on the same screen, or to the title. */
function render(title, nodes, path) {
  document.title = `${title} · Settlepoint`;
  const told = outcome && element("div", { class: "notice", tabindex: "-1", role: "status" }, outcome);
  outcome = null;
  main.replaceChildren(...[told, ...nodes].filter(Boolean));
  const results = path === shown ? main.querySelector("[data-results]") : null;
  (told ?? results ?? main.querySelector("h1"))?.focus();
  if (!told && !results) scrollTo(0, 0);
  shown = path;
}

/** A screen's write is done: `words` say what came of it, above the screen as it is now. */
function written(words) {
  outcome = words;
  return show();
}

function showFailure(failure, again) {
  const title = element("h1", { tabindex: "-1" }, text("failed.title"));
  const retry = button(text("failed.again"), () => busy(retry, again, (next) => showFailure(next, again)));
  main.replaceChildren(
    title,
    element("div", { role: "alert" }, explained(failure)),
    element("div", { class: "buttons" }, retry),
  );
  main.removeAttribute("aria-busy");
  document.title = `${text("failed.title")} · Settlepoint`;
  title.focus();
  shown = null;
}

// ------------------------------------------------------------------------------------------------------------- frame

function showHeader() {
  const { operator, can_write: canWrite, expires_at_seconds: expiresAtSeconds } = session;
  header.replaceChildren(
    element("a", { class: "skip", href: "#main", click: skip }, text("skip")),
    element(
      "div",
      { class: "bar" },
      element("a", { class: "brand", href: "#/" }, mark(), "Settlepoint"),
      element(
        "nav",
        { "aria-label": text("menu") },
        element(
          "ul",
          {},
          MENU.map((name) => element("li", {}, menuItem(name))),
        ),
      ),
      element(
        "div",
        { class: "who" },
        element(
          "span",
          { class: "operator", title: text("session.until", { operator, moment: moment(expiresAtSeconds * 1000) }) },
          operator,
        ),
        !canWrite && badge(text("session.read_only"), "calm"),
        languageSwitch(showHeader),
        button(text("session.sign_out"), () => signOut(null), { kind: "bare" }),
      ),
    ),
  );
  header.hidden = false;
}

/** Pressed where one is already, it shows the screen anew. */
function menuItem(name) {
  const again = ({ currentTarget }) => currentTarget.hash === location.hash && show();
  return element("a", { href: `#/${name}`, click: again }, text(`menu.${name || "overview"}`));
}

/** Not a link like others: the address after the # says which screen is shown. */
function skip(event) {
  event.preventDefault();
  main.focus();
}

function markMenu(name) {
  for (const item of header.querySelectorAll("nav a")) {
    if (item.getAttribute("href") === `#/${name}`) item.setAttribute("aria-current", "page");
    else item.removeAttribute("aria-current");
  }
}

/** Says the other language's name in that language. */
function languageSwitch(afterwards) {
  const other = Object.keys(LANGUAGES).find((name) => name !== spoken());
  const change = async () => {
    await speak(other, { keep: true });
    await afterwards();
    await show();
  };
  return button(LANGUAGES[other], change, { kind: "bare", lang: other });
}

function mark() {
  return drawn(
    "svg",
    { viewBox: "0 0 32 32", "aria-hidden": "true" },
    drawn("rect", { width: 32, height: 32, rx: 7, fill: "#1d5bd6" }),
    drawn("path", { d: "M8 11h16M8 16h16M8 21h9", stroke: "#fff", "stroke-width": 2.6, "stroke-linecap": "round" }),
    drawn("circle", { cx: 23, cy: 21.5, r: 2.4, fill: "#fff" }),
  );
}

// ------------------------------------------------------------------------------------------------------------ sign-in

function signOut(words) {
  token.forget();
  session = null;
  underWay.abort();
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
  showSignIn(words);
}

function showSignIn(words = null) {
  header.hidden = true;
  shown = null;
  const told = element("div", { role: "alert" }, words && element("div", { class: "notice warn" }, words));
  const secret = input("token", "", { type: "password", required: true, class: "token" });
  const submit = element("button", { type: "submit", class: "main" }, text("sign_in.submit"));
  const enter = ({ token: given }) =>
    busy(
      submit,
      async () => {
        if (!TOKEN.test(given)) throw new Failure(401, "unauthenticated");
        token.keep(given);
        await openSession();
        showHeader();
        await show();
      },
      (failure) => {
        token.forget();
        told.replaceChildren(failure.status === 401 ? refused() : explained(failure));
        secret.focus();
        secret.select();
      },
    );
  const title = element("h1", { tabindex: "-1" }, text("sign_in.title"));
  main.replaceChildren(
    element(
      "div",
      { class: "sign-in" },
      element(
        "div",
        { class: "head" },
        element("span", { class: "brand" }, mark(), "Settlepoint"),
        languageSwitch(() => showSignIn()),
      ),
      element(
        "div",
        { class: "panel" },
        title,
        told,
        form(enter, field(text("sign_in.token"), secret, { wide: true }), element("div", { class: "buttons" }, submit)),
        element("p", { class: "hint" }, text("sign_in.how")),
        element("pre", {}, "settlectl token mint --operator NAME"),
      ),
    ),
  );
  main.removeAttribute("aria-busy");
  document.title = `${text("sign_in.title")} · Settlepoint`;
  secret.focus();
}

function refused() {
  return element("div", { class: "failure" }, element("p", {}, text("sign_in.refused")));
}

await start();
