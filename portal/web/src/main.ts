// A guest's page: opens from a link, binds on a tap, then shows the rotating code, with or without a network.

import { bindLink, fetchPass, followChanges, type GuestPass, Offline, previewLink, Refused } from "./api.ts";
import { toBase64 } from "./bytes.ts";
import { issueAfter, makeCode, PERIOD_MS } from "./code.ts";
import { makeCodeKey, register } from "./keys.ts";
import { answerAt, needsLongCode } from "./state.ts";
import * as store from "./store.ts";
import { showMessage, showPass, showPreview } from "./view.ts";
import { language, say } from "./words.ts";

const RETRY_MS = 5_000;
const REFRESH_MS = 15 * 60_000;
/** A code made with a clock that turns out to be wrong by more is made anew. */
const CORRECTION_MS = 2_000;

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
    const registration = await register(pair, property, link, nonce);
    const asked = Date.now();
    const pass = await bindLink(token, registration);
    const clockOffset = offsetOf(pass, asked);
    const held = { link: await fingerprint(token), pass, key: pair.privateKey, clockOffset };
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

/** How far the portal's clock is ahead of ours: its time was taken half-way between question and answer. */
function offsetOf(pass: GuestPass, asked: number): number {
  return new Date(pass.server_time).getTime() - (asked + Date.now()) / 2;
}

async function run(held: store.Held): Promise<void> {
  let code: string | undefined;
  // By our own clock, which no correction moves.
  let madeAt = 0;
  let madeWith = held.clockOffset;
  let issued = 0;
  let turns = 0;
  let lastUsed = held.pass.last_used ?? 0;
  let justUsed = false;
  let ended = false;

  const refresh = async (): Promise<void> => {
    try {
      const asked = Date.now();
      const pass = await fetchPass();
      held.pass = pass;
      held.clockOffset = offsetOf(pass, asked);
      await store.save(held);
      if ((pass.last_used ?? 0) > lastUsed) {
        lastUsed = pass.last_used ?? 0;
        justUsed = true;
        code = undefined;
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
    const age = Date.now() - madeAt;
    const isOld = age >= PERIOD_MS || age < 0;
    if (answer.kind !== "admits") {
      code = undefined;
    } else if (code === undefined || isOld || Math.abs(held.clockOffset - madeWith) > CORRECTION_MS) {
      if (code !== undefined && isOld) justUsed = false;
      madeAt = Date.now();
      madeWith = held.clockOffset;
      issued = issueAfter(Math.floor(now.getTime() / 10), issued, lastUsed);
      const turn = ++turns;
      const made = await makeCode(held.pass, held.key, issued, needsLongCode(held.pass));
      // A later one was asked for meanwhile.
      if (turn !== turns) return;
      code = made;
    }
    showPass({
      pass: held.pass,
      answer,
      now,
      code,
      secondsLeft: Math.max(0, Math.ceil((PERIOD_MS - (Date.now() - madeAt)) / 1000)),
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
