// A guest's page: opens from a link, binds on a tap, then shows the rotating code, with or without a network.

import { bindLink, fetchPass, followChanges, type GuestPass, Offline, previewLink, Refused } from "./api.ts";
import { toBase64 } from "./bytes.ts";
import { makeCode, PERIOD_MS } from "./code.ts";
import { makeCodeKey, register } from "./keys.ts";
import { answerAt, needsLongCode } from "./state.ts";
import * as store from "./store.ts";
import { showMessage, showPass, showPreview } from "./view.ts";
import { language, say } from "./words.ts";

const RETRY_MS = 5_000;
const REFRESH_MS = 15 * 60_000;

document.documentElement.lang = language;
document.title = say("title");
void start();

async function start(): Promise<void> {
  if (!window.isSecureContext) return showMessage(say("insecure"), say("insecure_help"));
  if ("serviceWorker" in navigator) void navigator.serviceWorker.register("/g/sw.js", { scope: "/g/" });
  const token = location.hash.slice(1);
  const held = await store.load();
  if (token !== "" && held?.link !== (await fingerprint(token))) return preview(token);
  if (held === undefined) return showMessage(say("no_link"), say("no_link_help"));
  return run(held);
}

async function preview(token: string): Promise<void> {
  try {
    const link = await previewLink(token);
    showPreview(link, () => void bind(token, link.property, link.link, link.nonce));
  } catch (error) {
    explain(error, () => void preview(token));
  }
}

async function bind(token: string, property: string, link: string, nonce: string): Promise<void> {
  try {
    const pair = await makeCodeKey();
    const pass = await bindLink(token, await register(pair, property, link, nonce));
    const held = { link: await fingerprint(token), pass, key: pair.privateKey, clockOffset: offsetOf(pass) };
    await store.save(held);
    // Safari drops what scripts stored after a week without a visit, unless the person agreed to keep it.
    void navigator.storage?.persist?.();
    // The link has done its work; it must not stay in the history or the address bar.
    history.replaceState(null, "", "/g/");
    await run(held);
  } catch (error) {
    explain(error, () => void preview(token));
  }
}

function explain(error: unknown, again: () => void): void {
  if (error instanceof Refused) return showMessage(say("link_ended"), say("link_ended_help"));
  showMessage(say("unreachable"), say("unreachable_help"));
  if (error instanceof Offline) setTimeout(again, RETRY_MS);
}

async function fingerprint(token: string): Promise<string> {
  return toBase64(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(token))));
}

function offsetOf(pass: GuestPass): number {
  return new Date(pass.server_time).getTime() - Date.now();
}

async function run(held: store.Held): Promise<void> {
  let code: string | undefined;
  let issued = 0;
  let lastUsed = held.pass.last_used ?? 0;
  let justUsed = false;
  let ended = false;

  const refresh = async (): Promise<void> => {
    try {
      const pass = await fetchPass();
      held.pass = pass;
      held.clockOffset = offsetOf(pass);
      await store.save(held);
      if ((pass.last_used ?? 0) > lastUsed) {
        lastUsed = pass.last_used ?? 0;
        justUsed = true;
        issued = 0;
      }
    } catch (error) {
      if (error instanceof Refused && (error.slug === "link-ended" || error.slug === "not-signed-in")) {
        ended = true;
        await store.clear();
        showMessage(say("link_ended"), say("link_ended_help"));
      }
    }
    await tick();
  };

  const tick = async (): Promise<void> => {
    if (ended) return;
    const now = new Date(Date.now() + held.clockOffset);
    const answer = answerAt(held.pass, now);
    if (answer.kind !== "admits") {
      code = undefined;
    } else if (code === undefined || now.getTime() - issued >= PERIOD_MS || issued > now.getTime()) {
      if (issued !== 0) justUsed = false;
      issued = now.getTime();
      code = await makeCode(held.pass, held.key, Math.floor(issued / 10), needsLongCode(held.pass));
    }
    showPass({
      pass: held.pass,
      answer,
      now,
      code,
      secondsLeft: Math.max(0, Math.ceil((PERIOD_MS - (now.getTime() - issued)) / 1000)),
      online: navigator.onLine,
      justUsed,
    });
  };

  await tick();
  setInterval(() => void tick(), 1_000);
  setInterval(() => void refresh(), REFRESH_MS);
  window.addEventListener("online", () => void refresh());
  window.addEventListener("offline", () => void tick());
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") void refresh();
  });
  followChanges(() => void refresh());
  await keepAwake();
}

/** The code must not go dark in the queue before a gate. */
async function keepAwake(): Promise<void> {
  try {
    await navigator.wakeLock?.request("screen");
  } catch {
    // Low battery, or not allowed: the page works without.
  }
}
