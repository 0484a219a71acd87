// One notification: what is sent, and what became of each attempt.

import { ask, badge, button, code, element, facts, link, notificationStatus, panel, table, time } from "./elements.js";
import { number, text } from "./language.js";
import { breakerText, heldBecauseText } from "./app.js";
import { errorClassText, eventText } from "./notifications.js";
import { call, explained } from "./server.js";

export async function screen({ id, session, signal, written }) {
  const found = await call("notifications/show", { notify_id: id }, { signal });
  const title = text("notification.title");
  return {
    title,
    nodes: [
      element(
        "div",
        { class: "head" },
        element(
          "div",
          {},
          element(
            "p",
            { class: "path" },
            link(`#/notifications?app=${encodeURIComponent(found.app_id)}`, text("menu.notifications")),
            " › ",
            found.app_id,
          ),
          element("h1", { tabindex: "-1" }, title, " ", notificationStatus(found.status)),
        ),
        session.can_write && button(text("redeliver.button"), () => redeliver(found, written)),
      ),
      panel(text("notification.facts"), about(found)),
      panel(text("notification.attempts"), attempts(found)),
      panel(
        text("field.payload"),
        element("p", { class: "hint" }, text("notification.payload")),
        element("pre", { tabindex: "0", "aria-label": text("field.payload") }, found.payload),
        element(
          "details",
          {},
          element("summary", {}, text("notification.as_sent")),
          element("pre", { tabindex: "0" }, found.body),
        ),
      ),
    ],
  };
}

function about(found) {
  const { lease_until_ms: leaseUntilMs, waits_because: waits } = found;
  return facts({
    [text("field.notify_id")]: code(found.notify_id),
    [text("field.app")]: link(`#/apps/${encodeURIComponent(found.app_id)}`, found.app_id),
    [text("field.event")]: eventText(found.notify_event),
    [text("field.settled_at")]: time(found.notify_time_ms),
    [text("notification.orders")]: orderLinks(found),
    [text("notification.waits")]: waits && heldBecauseText(waits),
    [text("notification.next")]: found.next_attempt_at_ms && time(found.next_attempt_at_ms),
    [text("notification.under_way")]: leaseUntilMs && [text("notification.until"), " ", time(leaseUntilMs)],
    [text("field.breaker")]: breakerText(found.breaker),
  });
}

/** The orders that a payload tells of; what is something else, a test call say, tells of none. */
function orderLinks({ body, app_id: app }) {
  const { data = {} } = JSON.parse(body);
  const ids = [data.billno, ...(data.results ?? []).map((result) => result.out_order_id)].filter(
    (id) => typeof id === "string",
  );
  return ids.length
    ? ids.flatMap((id, place) => [place > 0 && ", ", link(`#/search?${new URLSearchParams({ id, app })}`, code(id))])
    : null;
}

function attempts(found) {
  if (found.attempts.length === 0) return element("p", { class: "quiet" }, text("notification.no_attempt"));
  const orDash = (value) => value ?? "–";
  return table(
    text("notification.attempts"),
    [
      { title: text("attempt.number"), cell: (row) => number(row.number) },
      { title: text("attempt.started"), cell: (row) => time(row.started_at_ms) },
      { title: text("attempt.outcome"), cell: (row) => outcome(row) },
      { title: text("attempt.duration"), numeric: true, cell: (row) => `${number(row.duration_ms)} ms` },
      { title: text("attempt.http"), numeric: true, cell: (row) => orDash(row.http_status) },
      { title: "ret_code", numeric: true, cell: (row) => orDash(row.ret_code) },
      { title: text("attempt.error"), wide: true, cell: (row) => orDash(row.error) },
    ],
    found.attempts,
  ).node;
}

function outcome({ error, error_class: errorClass }) {
  return error === null
    ? badge(text("attempt.acknowledged"), "good")
    : badge(errorClass ? errorClassText(errorClass) : text("attempt.failed"), "bad");
}

async function redeliver(found, written) {
  const again = found.status === "delivered";
  const done = await ask({
    title: text("redeliver.title"),
    about: [
      element("p", {}, text("redeliver.about", { app: found.app_id })),
      again && element("p", { class: "notice warn" }, text("redeliver.again")),
      found.breaker.state === "open" && element("p", {}, text("redeliver.open")),
    ],
    confirm: text("redeliver.confirm"),
    explain: explained,
    act: () => call("notifications/redeliver", { notify_id: found.notify_id, again }),
  });
  if (done === null) return;
  const { attempt, held_because: because, queued } = done;
  const words = because
    ? text("redeliver.held", { why: heldBecauseText(because) })
    : text("redeliver.done", { attempt: number(attempt) });
  await written(
    element("div", {}, element("p", {}, words), !queued && !because && element("p", {}, text("write.swept"))),
  );
}
