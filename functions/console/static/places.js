// Going from screen to screen, and what the forms of several screens share.

import { element, field, input } from "./elements.js";
import { text } from "./language.js";

const knownApps = new Set();

/** Goes to a screen; where one is there already, it is shown anew: the same question may have another answer now. */
export function go(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const asked = new URLSearchParams(given).toString();
  const hash = `#/${path}${asked ? `?${asked}` : ""}`;
  if (hash === location.hash) dispatchEvent(new HashChangeEvent("hashchange"));
  else location.hash = hash;
}

/** Apps that were seen are proposed where one is asked for. */
export function rememberApps(appIds) {
  appIds.forEach((appId) => knownApps.add(appId));
}

export function appField(value, { required = false, hint = null } = {}) {
  const list = element(
    "datalist",
    { id: "known-apps" },
    [...knownApps].sort().map((appId) => element("option", { value: appId })),
  );
  const made = field(text("field.app"), input("app", value, { list: list.id, maxlength: 64, required }), { hint });
  made.append(list);
  return made;
}
