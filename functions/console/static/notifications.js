// An app's notifications by status and time, and telling many of them again: counted first, then done in steps.

import {
  ask,
  busy,
  button,
  choice,
  element,
  empty,
  facts,
  field,
  form,
  input,
  notificationStatus,
  panel,
  select,
  table,
  time,
} from "./elements.js";
import { counted, hasWords, moment, number, text } from "./language.js";
import { loadMore } from "./lists.js";
import { appField, go, rememberApps } from "./places.js";
import { notificationLink } from "./search.js";
import { answered, call, explained } from "./server.js";

const HOUR_MS = 3_600_000;
const RANGES = { "1h": 1, "1d": 24, "7d": 7 * 24, "30d": 30 * 24, "91d": 91 * 24, times: null };

export async function screen({ query, session, signal, written }) {
  const title = text("menu.notifications");
  const nodes = [
    element("div", { class: "head" }, element("h1", { tabindex: "-1" }, title)),
    element("div", { class: "panel" }, filterForm(query, session)),
  ];
  if (query.app) nodes.push(...(await answered(() => results(query, session, signal, written))));
  return { title, nodes };
}

function filterForm(
  { app = "", status = "", error_class: errorClass = "", range = "7d", from = "", to = "" },
  session,
) {
  const chosen = status.split(" ");
  const times = element(
    "fieldset",
    { class: "pair", hidden: range !== "times" },
    element("legend", { class: "unseen" }, text("range.pair")),
    field(text("range.from"), input("from", from, { type: "datetime-local", step: 1 })),
    field(text("range.to"), input("to", to, { type: "datetime-local", step: 1 })),
  );
  const ranges = select(
    "range",
    range,
    Object.keys(RANGES).map((name) => [name, text(`range.${name}`)]),
    {
      change: ({ target }) => (times.hidden = target.value !== "times"),
    },
  );
  const statuses = element(
    "fieldset",
    { class: "choices" },
    element("legend", {}, text("field.status")),
    element(
      "div",
      {},
      session.statuses.map((name) => choice("status", name, text(`status.${name}`), chosen.includes(name))),
    ),
  );
  const made = form(
    (given) => {
      const ticked = [...made.querySelectorAll("[name=status]:checked")].map((box) => box.value).join(" ");
      go("notifications", { ...given, status: ticked, ...(given.range === "times" ? {} : { from: "", to: "" }) });
    },
    appField(app, { required: true }),
    field(text("range.settled"), ranges),
    times,
    field(
      text("field.error_class"),
      select("error_class", errorClass, [
        ["", text("error_class.all")],
        ...session.error_classes.map((name) => [name, errorClassText(name)]),
      ]),
    ),
    statuses,
    element("div", { class: "buttons" }, element("button", { type: "submit", class: "main" }, text("form.show"))),
  );
  return made;
}

function filterOf({ app, status = "", error_class: errorClass = "", range = "7d", from, to }, nowMs) {
  const hours = RANGES[range] ?? RANGES["7d"];
  const given = range === "times";
  return {
    app_id: app,
    since_ms: given ? (from ? Date.parse(from) : 0) : nowMs - hours * HOUR_MS,
    until_ms: given && to ? Date.parse(to) : nowMs,
    statuses: status.split(" ").filter(Boolean),
    error_classes: errorClass ? [errorClass] : [],
  };
}

async function results(query, session, signal, written) {
  const filter = filterOf(query, session.now());
  const page = await call("notifications/list", { ...filter, cursor: "" }, { signal });
  rememberApps([filter.app_id]);
  const count = page.notifications.length;
  const heading = element(
    "h2",
    { tabindex: "-1", "data-results": true },
    counted(page.is_end ? "notifications.count" : "notifications.newest", count),
  );
  const range = element(
    "p",
    { class: "quiet" },
    text("range.between", { since: moment(filter.since_ms), until: moment(filter.until_ms) }),
  );
  const lookedBack = ({ read_back_to_ms: backToMs }) => text("notifications.looked_back", { moment: moment(backToMs) });
  const made = table(
    text("notifications.caption"),
    [
      { title: text("field.notify_id"), cell: (row) => notificationLink(row.notify_id) },
      { title: text("field.settled_at"), cell: (row) => time(row.notify_time_ms) },
      { title: text("field.status"), cell: (row) => notificationStatus(row.status) },
      { title: text("field.attempts"), numeric: true, cell: (row) => number(row.attempt_count) },
      { title: text("field.error_class"), cell: (row) => (row.error_class ? errorClassText(row.error_class) : "–") },
      { title: text("field.event"), cell: (row) => eventText(row.notify_event) },
    ],
    page.notifications,
  );
  const next = (cursor) => call("notifications/list", { ...filter, cursor });
  const nothing = count === 0 && page.is_end;
  return [
    element(
      "div",
      { class: "head" },
      element("div", {}, heading, range),
      session.can_write && !nothing && replayButton(filter, written),
    ),
    nothing
      ? empty(text("notifications.none"))
      : element(
          "div",
          { class: "panel" },
          made.node,
          loadMore(made, page, next, (answer) => answer.notifications, lookedBack),
        ),
  ];
}

export function eventText(event) {
  return event === "upbot.club.jf.settle"
    ? text("event.club")
    : event === "sud.mg.merchant.user.settle"
      ? text("event.game")
      : event;
}

export function errorClassText(name) {
  return hasWords(`error_class.${name}`) ? text(`error_class.${name}`) : name;
}

// ------------------------------------------------------------------------------------------------------------ replay

function replayButton(filter, written) {
  if (filter.statuses.length === 0) return element("p", { class: "hint" }, text("replay.choose"));
  const fault = element("div", { role: "alert" });
  const pressed = button(text("replay.button"), () =>
    busy(
      pressed,
      async () => {
        fault.replaceChildren();
        const counts = await countAll(filter);
        const done = counts.matched === 0 ? nothingToReplay() : await confirmed(filter, counts);
        if (done) await written(summary(done));
      },
      (failure) => fault.replaceChildren(explained(failure)),
    ),
  );
  return element("div", {}, pressed, fault);

  function nothingToReplay() {
    fault.replaceChildren(element("p", { class: "hint" }, text("replay.nothing")));
    return null;
  }
}

/** Counts to the end, however many calls that takes. */
async function countAll(filter) {
  let counts = { ticket: "", finished: false };
  while (!counts.finished) counts = await call("notifications/count", { ...filter, ticket: counts.ticket });
  return counts;
}

function confirmed(filter, counts) {
  const bar = element("progress", {
    max: counts.matched,
    value: 0,
    hidden: true,
    "aria-label": text("replay.progress"),
  });
  const reached = element("p", { role: "status" });
  const parts = (named, words) =>
    Object.entries(named)
      .map(([name, count]) => `${words(name)}: ${number(count)}`)
      .join(" · ");
  return ask({
    title: counted("replay.title", counts.matched),
    about: [
      element("p", {}, text("replay.about", { app: filter.app_id })),
      facts({
        [text("range.settled")]: text("range.between", {
          since: moment(filter.since_ms),
          until: moment(filter.until_ms),
        }),
        [text("field.status")]: parts(counts.counts, (name) => text(`status.${name}`)),
        [text("field.error_class")]: parts(counts.error_classes, errorClassText),
      }),
      counts.counts.delivered > 0 &&
        element("p", { class: "notice warn" }, counted("replay.delivered", counts.counts.delivered)),
      element("p", {}, text("replay.pace")),
      element("div", {}, bar, reached),
    ],
    confirm: counted("replay.confirm", counts.matched),
    stoppable: true,
    explain: explained,
    act: async (stop) => {
      bar.hidden = false;
      let done = { ticket: counts.ticket, finished: false };
      while (!done.finished && !stop.aborted) {
        done = await call("notifications/replay", { ...filter, expected: counts.matched, ticket: done.ticket });
        const reachedCount = done.held + done.under_way + done.changed;
        bar.value = reachedCount;
        reached.textContent = text("replay.reached", { count: number(reachedCount), all: number(counts.matched) });
      }
      return done;
    },
  });
}

function summary({ held, under_way: underWay, changed, finished, queued }) {
  return element(
    "div",
    {},
    element("p", {}, finished ? counted("replay.done", held) : counted("replay.stopped", held)),
    underWay > 0 && element("p", {}, counted("replay.under_way", underWay)),
    changed > 0 && element("p", {}, counted("replay.changed", changed)),
    !queued && element("p", {}, text("write.swept")),
  );
}
