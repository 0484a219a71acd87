// Talking to the door. Its addresses are relative to this module's, so a stage name or a custom domain changes nothing.

import { element } from "./elements.js";
import { hasWords, text } from "./language.js";

const API = new URL("api/", import.meta.url);
const TOKEN = "settlepoint.console.token";

/** The operator's token. It lives in sessionStorage: it is gone with the tab, no other site can send it, as it could a
 *  cookie, and a reload does not ask for it again. What could read it there is script of this page; the content security
 *  policy lets none in but our own. */
export const token = {
  get: () => sessionStorage.getItem(TOKEN),
  keep: (value) => sessionStorage.setItem(TOKEN, value),
  forget: () => sessionStorage.removeItem(TOKEN),
};

/** The door's no: `status` of HTTP (0: it was not reached), its `code`, and its `detail`. */
export class Failure extends Error {
  constructor(status, code, detail = "") {
    super(`${status} ${code} ${detail}`);
    Object.assign(this, { status, code, detail });
  }
}

/** GETs a path, or POSTs `body` to it. Raises Failure, and AbortError when `signal` says so. A token that is not taken is
 *  told to the whole page too, as the event `unauthenticated`: wherever that is noticed, one has to sign in again. */
export async function call(path, body = undefined, { signal } = {}) {
  const headers = { Authorization: `Bearer ${token.get()}` };
  const request = { headers, signal, cache: "no-store", credentials: "omit", redirect: "error" };
  if (body !== undefined) {
    headers["Content-Type"] = "application/json";
    Object.assign(request, { method: "POST", body: JSON.stringify(body) });
  }
  let response, answer;
  try {
    response = await fetch(new URL(path, API), request);
    answer = await response.text();
  } catch (failure) {
    if (failure.name === "AbortError") throw failure;
    throw new Failure(0, "unreachable");
  }
  const said = parsed(answer);
  if (response.ok && said !== null) return said;
  if (response.status === 401) document.dispatchEvent(new Event("unauthenticated"));
  throw new Failure(response.status, said?.error?.code ?? `http_${response.status}`, said?.error?.detail ?? "");
}

function parsed(answer) {
  try {
    return JSON.parse(answer);
  } catch {
    return null; // API Gateway's own page, a proxy's: the status says enough
  }
}

/** A failure in words, with what to do about it. What is no Failure is a fault of this page's. */
export function explained(failure) {
  if (!(failure instanceof Failure)) console.error(failure);
  const { status = null, code = "page", detail = "" } = failure instanceof Failure ? failure : {};
  const byStatus = !status ? "error.unreachable" : status >= 500 ? "error.5xx" : `error.${status}`;
  const key = [`error.${code}`, byStatus].find(hasWords) ?? "error.unknown";
  return element(
    "div",
    { class: "failure" },
    element("p", {}, text(key, { status })),
    detail && element("p", { class: "detail" }, detail),
  );
}

/** What `make` makes; where the door says no to it, that in its place: the form above stays, to be corrected. */
export async function answered(make) {
  try {
    return await make();
  } catch (failure) {
    if (!(failure instanceof Failure)) throw failure;
    return [element("div", { role: "alert", tabindex: "-1", "data-results": true }, explained(failure))];
  }
}
