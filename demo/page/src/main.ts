// The property's page: its doors opening live, and what a visitor can do to it.

import { type Board, type Happening, type Live, post } from "./board.ts";
import { camera, otherWindow, readCodes } from "./camera.ts";
import { drawPlan, showConnected, showHappening } from "./plan.ts";

const FEED_LENGTH = 60;
const at = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;

void start();

async function start(): Promise<void> {
  const board = (await (await fetch("/board")).json()) as Board;
  at("title").textContent = board.property;
  at("subtitle").textContent =
    `${board.doors.length} doors, ${board.people} people. Doors light up green when they open and orange when they refuse.`;
  drawPlan(at("plan"), board);
  at("feed").replaceChildren(...board.feed.map(feedLine));
  fill("unlock-phone", board.phones.map((phone) => [phone.id, phone.label]));
  fill("unlock-door", board.doors.map((door) => [door.id, door.name]));
  fill("scan-door", gatesFirst(board).map((door) => [door.id, door.name]));
  at("switches").replaceChildren(...board.switches.map(switchLine));
  listen();
  wire();
}

function listen(): void {
  const live = new EventSource("/live");
  let lost = false;
  live.onopen = () => lost && location.reload();
  live.onerror = () => {
    lost = true;
    at("subtitle").textContent = "The demo has stopped. Start it again with: cargo run";
  };
  live.onmessage = (message) => {
    const news = JSON.parse(message.data as string) as Live;
    switch (news.type) {
      case "happening":
        showHappening(news.happening);
        at("feed").prepend(feedLine(news.happening));
        while (at("feed").childElementCount > FEED_LENGTH) at("feed").lastElementChild?.remove();
        break;
      case "connected":
        showConnected(news.door, news.connected);
        break;
      case "switch":
        at<HTMLInputElement>(`switch-${news.id}`).checked = news.failing;
        break;
    }
  };
}

function wire(): void {
  submit("unlock", () =>
    post("/unlock", { phone: at<HTMLSelectElement>("unlock-phone").value, door: at<HTMLSelectElement>("unlock-door").value }),
  );
  submit("scan", async () => {
    await scan(at<HTMLInputElement>("scan-text").value);
    at<HTMLInputElement>("scan-text").value = "";
  });
  at("invite").addEventListener("click", () => void invite());
  at("camera").addEventListener("click", () => void look(camera, "Hold a phone’s code before the camera."));
  at("window").addEventListener("click", () => void look(otherWindow, "The reader looks at what you chose."));
  at("stop").addEventListener("click", stopLooking);
}

/** What happened comes back over `/live`, from the door itself. */
async function scan(text: string): Promise<void> {
  await post("/scan", { door: at<HTMLSelectElement>("scan-door").value, text });
}

async function invite(): Promise<void> {
  const button = at<HTMLButtonElement>("invite");
  button.disabled = true;
  try {
    const { url } = await post<{ url: string }>("/invite", {});
    at<HTMLAnchorElement>("invitation-link").href = url;
    at("invitation").hidden = false;
  } catch (error) {
    complain(error);
  } finally {
    button.disabled = false;
  }
}

let stopReader: (() => void) | undefined;

/** Has the reader look at something, until it is stopped. */
async function look(source: () => Promise<MediaStream>, hint: string): Promise<void> {
  stopLooking();
  const note = at("reader-note");
  const video = at<HTMLVideoElement>("preview");
  try {
    stopReader = await readCodes(await source(), video, (text) => void scan(text).catch(complain), stopLooking);
    video.hidden = at("stop").hidden = false;
    note.textContent = hint;
  } catch {
    note.textContent = "There is nothing to look at, or this page may not. Paste the code instead.";
  }
  note.hidden = false;
}

function stopLooking(): void {
  stopReader?.();
  stopReader = undefined;
  at("preview").hidden = at("stop").hidden = at("reader-note").hidden = true;
}

function submit(id: string, action: () => Promise<unknown>): void {
  const form = at<HTMLFormElement>(id);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    if (button !== null) button.disabled = true;
    action()
      .catch(complain)
      .finally(() => {
        if (button !== null) button.disabled = false;
      });
  });
}

function complain(error: unknown): void {
  const text = error instanceof Error ? error.message : String(error);
  at("feed").prepend(feedLine({ at: new Date().toISOString(), text: text.charAt(0).toUpperCase() + text.slice(1) }));
}

/** Doors with a reader for codes: gates before the others. */
function gatesFirst(board: Board): Board["doors"] {
  const shared = board.doors.filter((door) => door.kind !== "unit");
  return [...shared.filter((door) => door.kind === "gate"), ...shared.filter((door) => door.kind !== "gate")];
}

function fill(id: string, options: [string, string][]): void {
  at(id).replaceChildren(...options.map(([value, label]) => new Option(label, value)));
}

function switchLine(entry: Board["switches"][number]): HTMLElement {
  const line = document.createElement("li");
  const label = document.createElement("label");
  const box = document.createElement("input");
  box.type = "checkbox";
  box.id = `switch-${entry.id}`;
  box.checked = entry.failing;
  box.addEventListener("change", () => void post("/switch", { id: entry.id, failing: box.checked }).catch(complain));
  label.append(box, entry.label);
  line.append(label);
  return line;
}

function feedLine(happening: Happening): HTMLElement {
  const line = document.createElement("li");
  const time = document.createElement("time");
  time.dateTime = happening.at;
  time.textContent = new Date(happening.at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
  const words = document.createElement("span");
  words.className = happening.opened === undefined ? "" : happening.opened ? "yes" : "no";
  words.textContent = happening.text;
  line.append(time, words);
  return line;
}
