// One app: what it may do, how telling it goes, and the steps that change its secret without cutting it off.

import {
  ask,
  badge,
  button,
  code,
  element,
  facts,
  field,
  link,
  panel,
  reveal,
  select,
  table,
  time,
} from "./elements.js";
import { counted, moment, number, text } from "./language.js";
import { appStatus, upTo } from "./apps.js";
import { rememberApps } from "./places.js";
import { call, explained } from "./server.js";

const OVERLAPS_SECONDS = { hour: 3600, day: 86_400, week: 7 * 86_400, month: 30 * 86_400 };

export async function screen({ id, session, signal, written }) {
  const answer = await call("apps/show", { app_id: id }, { signal });
  const { app } = answer;
  rememberApps([app.app_id]);
  return {
    title: app.app_id,
    nodes: [
      element(
        "div",
        { class: "head" },
        element(
          "div",
          {},
          element("p", { class: "path" }, link("#/apps", text("menu.apps"))),
          element("h1", { tabindex: "-1" }, app.app_id, " ", appStatus(app)),
        ),
        session.can_write && statusButton(app, written),
      ),
      element(
        "div",
        { class: "columns" },
        panel(text("app.facts"), about(app)),
        panel(text("app.telling"), telling(answer)),
      ),
      panel(text("app.secrets"), versions(app), session.can_write && steps(app, written)),
    ],
  };
}

function about(app) {
  const listed = (names) => names.join(", ");
  return facts({
    [text("field.name")]: app.name !== app.app_id && app.name,
    [text("field.roles")]: listed(app.roles.map((role) => text(`role.${role}`))),
    [text("field.notify_url")]: app.notify_url ? code(app.notify_url) : text("app.no_url"),
    [text("field.mg_ids")]: listed(app.mg_ids),
    [text("field.for_apps")]: listed(app.for_apps),
    [text("field.created")]: time(app.created_at_ms),
  });
}

function telling({ app, recent, counts_up_to: countsUpTo }) {
  const filtered = (status) => `#/notifications?${new URLSearchParams({ app: app.app_id, status, range: "91d" })}`;
  return [
    facts({
      [text("field.breaker")]: breakerText(app.breaker),
      [text("field.held")]: app.held > 0 ? link(filtered("held"), upTo(app.held, countsUpTo)) : number(0),
      [text("app.held_because")]: app.held_because && heldBecauseText(app.held_because),
      [text("field.dead")]: app.dead > 0 ? link(filtered("dead"), upTo(app.dead, countsUpTo)) : number(0),
      [text("app.last_day")]: recentText(recent),
    }),
    element("p", {}, link(`#/notifications?app=${encodeURIComponent(app.app_id)}`, text("app.all_notifications"))),
  ];
}

function recentText({ counts, complete }) {
  const some = Object.entries(counts).filter(([, count]) => count > 0);
  const parts =
    some.map(([status, count]) => `${text(`status.${status}`)} ${number(count)}`).join(" · ") || text("app.none");
  return complete ? parts : [parts, text("app.newest_counted")].join(" ");
}

// ----------------------------------------------------------------------------------------------------- its receiver

const BREAKER_TONES = { trusted: "good", on_trial: "calm", open: "bad" };

export function breakerBadge({ state }) {
  return badge(text(`breaker.${state}`), BREAKER_TONES[state]);
}

export function breakerText(breaker) {
  const { state, failures, open_until_ms: openUntilMs } = breaker;
  return [
    breakerBadge(breaker),
    state === "open" && [" ", text("breaker.until"), " ", time(openUntilMs)],
    failures > 0 && element("p", { class: "hint" }, counted("breaker.failures", failures)),
  ];
}

export function heldBecauseText(why) {
  return text(`held_because.${why}`);
}

function statusButton(app, written) {
  const act = app.status === "enabled" ? "disable" : "enable";
  const change = async () => {
    const done = await ask({
      title: text(`${act}.title`, { app: app.app_id }),
      about: [
        element("p", {}, text(`${act}.about`)),
        act === "enable" && element("p", {}, counted("enable.held", app.held)),
      ],
      confirm: text(`${act}.confirm`),
      kind: act === "disable" ? "danger" : "main",
      explain: explained,
      act: () => call(`apps/${act}`, { app_id: app.app_id }),
    });
    if (done !== null) await written(text(`${act}.done`, { app: app.app_id }));
  };
  return button(text(`${act}.button`), change, { kind: act === "disable" ? "danger" : "plain" });
}

// ------------------------------------------------------------------------------------------------------- its secret

const STATE_TONES = { signs: "good", accepted: "calm", ended: "bad" };

function versions(app) {
  return table(
    text("app.secrets"),
    [
      { title: text("secret.version"), cell: (row) => number(row.version) },
      { title: text("secret.state"), cell: (row) => badge(text(`secret.${row.state}`), STATE_TONES[row.state]) },
      { title: text("secret.ends"), cell: (row) => (row.retires_at_ms === null ? "–" : time(row.retires_at_ms)) },
    ],
    app.secret_versions,
  ).node;
}

/** The three steps, and what can be done at each of them now. */
function steps(app, written) {
  const at = app.rotation_step;
  const ending = app.secret_versions.find((version) => version.retires_at_ms !== null);
  const step = (name, current, ...buttons) =>
    element(
      "li",
      { "aria-current": current ? "step" : null },
      element("div", {}, element("h3", {}, text(`${name}.step`)), element("p", {}, text(`${name}.explained`))),
      element("div", { class: "buttons" }, buttons.filter(Boolean)),
    );
  return [
    element("h3", {}, text("rotation.title")),
    element(
      "p",
      { class: "quiet" },
      text(`rotation.${at}.now`, { moment: ending ? moment(ending.retires_at_ms) : "" }),
    ),
    element(
      "ol",
      { class: "steps" },
      step(
        "rotate",
        at === "none",
        at === "none" && button(text("rotate.button"), () => rotate(app, false, written)),
        at === "rotated" && button(text("rotate_again.button"), () => rotate(app, true, written)),
      ),
      step(
        "activate",
        at === "rotated",
        at === "rotated" && button(text("activate.button"), () => activate(app, written), { kind: "main" }),
        at === "activated" && button(text("overlap.button"), () => activate(app, written)),
      ),
      step(
        "retire",
        at === "activated",
        at === "activated" && button(text("retire.button"), () => retire(app, false, written), { kind: "danger" }),
        at === "rotated" && button(text("retire_now.button"), () => retire(app, true, written), { kind: "danger" }),
      ),
    ),
  ];
}

async function rotate(app, again, written) {
  const name = again ? "rotate_again" : "rotate";
  const made = await ask({
    title: text(`${name}.title`, { app: app.app_id }),
    about: element("p", {}, text(`${name}.about`)),
    confirm: text(`${name}.confirm`),
    kind: again ? "danger" : "main",
    explain: explained,
    act: () => call("apps/rotate-secret", { app_id: app.app_id, again }),
  });
  if (made === null) return;
  await reveal({
    title: text("secret.title", { app: app.app_id, version: number(made.secret_version) }),
    about: element("p", {}, text("secret.once")),
    secrets: {
      [text("secret.secret")]: made.secret,
      [text("secret.webhook")]: made.webhook_secret,
      [text("secret.directory")]: made.directory_url,
    },
  });
  await written(text("rotate.done", { version: number(made.secret_version) }));
}

async function activate(app, written) {
  const overlap = select(
    "overlap",
    OVERLAPS_SECONDS.day,
    Object.entries(OVERLAPS_SECONDS).map(([name, seconds]) => [seconds, text(`overlap.${name}`)]),
  );
  const done = await ask({
    title: text("activate.title", { app: app.app_id }),
    about: [element("p", {}, text("activate.about")), field(text("overlap.label"), overlap)],
    confirm: text("activate.confirm"),
    explain: explained,
    act: () => call("apps/activate-secret", { app_id: app.app_id, overlap_seconds: Number(overlap.value) }),
  });
  if (done !== null) await written(text("activate.done"));
}

async function retire(app, now, written) {
  const name = now ? "retire_now" : "retire";
  const done = await ask({
    title: text(`${name}.title`, { app: app.app_id }),
    about: element("p", {}, text(`${name}.about`)),
    confirm: text(`${name}.confirm`),
    kind: "danger",
    explain: explained,
    act: () => call("apps/retire-secret", { app_id: app.app_id, now }),
  });
  if (done !== null) await written(text("retire.done"));
}
