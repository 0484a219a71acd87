// An order or a notification by any id that somebody may have of it.

import {
  badge,
  code,
  element,
  empty,
  facts,
  field,
  form,
  input,
  link,
  notificationStatus,
  panel,
  points,
  time,
} from "./elements.js";
import { counted, number, text } from "./language.js";
import { appField, go, rememberApps } from "./places.js";
import { answered, call } from "./server.js";

export function searchForm({ id = "", app = "" }) {
  return form(
    (given) => go("search", { id: given.id, app: given.app }),
    field(text("search.id"), input("id", id, { required: true, maxlength: 128 }), {
      hint: text("search.id_hint"),
      wide: true,
    }),
    appField(app, { hint: text("search.app_hint") }),
    element("div", { class: "buttons" }, element("button", { type: "submit", class: "main" }, text("search.submit"))),
  );
}

export async function screen({ query, signal }) {
  const { id = "", app = "" } = query;
  const title = text("search.title");
  const nodes = [
    element("div", { class: "head" }, element("h1", { tabindex: "-1" }, title)),
    element("div", { class: "panel" }, searchForm(query)),
  ];
  if (id) {
    nodes.push(
      ...(await answered(async () => {
        const found = await call("search", { id, app_id: app || null }, { signal });
        rememberApps(found.orders.map((order) => order.app_id));
        return results(id, found);
      })),
    );
  }
  return { title, nodes };
}

function results(id, { orders, notification, apps_searched: appsSearched }) {
  const count = orders.length + (notification ? 1 : 0);
  const heading = element("h2", { tabindex: "-1", "data-results": true }, counted("search.found", count));
  if (count === 0) {
    return [
      heading,
      empty(text("search.nothing", { id }), element("p", { class: "quiet" }, counted("search.looked", appsSearched))),
    ];
  }
  return [
    heading,
    notification &&
      panel(
        text("notification.title"),
        facts({
          [text("field.notify_id")]: notificationLink(notification.notify_id),
          [text("field.app")]: link(`#/apps/${encodeURIComponent(notification.app_id)}`, notification.app_id),
          [text("field.status")]: notificationStatus(notification.status),
        }),
      ),
    ...orders.map((order) => (order.kind === "club" ? clubOrder(order) : gameOrder(order))),
  ];
}

function clubOrder(order) {
  const { settled, account } = order;
  const ofPlayer = new URLSearchParams({ app: order.app_id, openid: order.openid });
  return panel(
    text("order.club", { id: order.bill_no }),
    facts({
      [text("field.state")]: orderState(settled),
      [text("field.app")]: link(`#/apps/${encodeURIComponent(order.app_id)}`, order.app_id),
      [text("field.bill_no")]: code(order.bill_no),
      [text("field.openid")]: link(`#/settlements?${ofPlayer}`, order.openid),
      [text("field.amt")]: points(order.amt),
      [text("field.source")]: sourceName(order.source),
      [text("field.settle_amt")]: settled && points(settled.settle_amt),
      [text("field.amt_ratio")]: settled && `${settled.amt_ratio} %`,
      [text("field.settle_time")]: settled && time(settled.settle_time_ms),
      [text("field.account")]: account && accountText(account),
      [text("field.jf_gid")]: order.jf_gid,
      [text("field.detail")]: order.detail,
      [text("notification.title")]: notificationOf(order),
    }),
  );
}

function gameOrder(order) {
  const { settled } = order;
  return panel(
    text("order.game", { id: order.out_order_id }),
    facts({
      [text("field.state")]: orderState(settled),
      [text("field.app")]: link(`#/apps/${encodeURIComponent(order.app_id)}`, order.app_id),
      [text("field.order_id")]: code(order.order_id),
      [text("field.out_order_id")]: code(order.out_order_id),
      [text("field.mg_id")]: order.mg_id,
      [text("field.room_id")]: order.room_id,
      [text("field.cmd")]: order.cmd,
      [text("field.from_uid")]: order.from_uid,
      [text("field.to_uid")]: order.to_uid,
      [text("field.value")]: number(order.value),
      [text("field.out_group_id")]: order.out_group_id,
      [text("notification.title")]: notificationOf(order),
    }),
    settled &&
      facts({
        [text("field.uid")]: settled.is_ai ? text("order.robot") : settled.uid,
        [text("field.score")]: number(settled.score),
        [text("field.remain_score")]: number(settled.remain_score),
        [text("field.commission_score")]: settled.commission_score === null ? null : number(settled.commission_score),
        [text("field.match_id")]: settled.match_id,
        [text("field.settle_at")]: time(settled.settle_at_seconds * 1000),
        [text("field.settle_time")]: time(settled.settle_time_ms),
      }),
    order.payload &&
      element(
        "details",
        {},
        element("summary", {}, text("field.payload")),
        element("pre", { tabindex: "0" }, order.payload),
      ),
  );
}

function sourceName(source) {
  return text(`source.${source}`);
}

function orderState(settled) {
  return settled ? badge(text("order.settled"), "good") : badge(text("order.open"), "calm");
}

function notificationOf({ settled, notification }) {
  if (notification === null) return settled ? text("order.no_notification") : null;
  return [notificationLink(notification.notify_id), " ", notificationStatus(notification.status)];
}

export function accountText({ type, id, gid }) {
  return [type && text(`account.${type}`), id, gid && `gid ${gid}`].filter(Boolean).join(" · ");
}

/** The id's beginning; whole it is on the notification's own screen. */
export function notificationLink(notifyId) {
  return link(`#/notifications/${notifyId}`, code(`${notifyId.slice(0, 12)}…`));
}
