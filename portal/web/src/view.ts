// The screen. Everything is made by DOM calls, so no text can become markup.

import encodeQR from "qr";
import type { GuestPass, LinkPreview } from "./api.ts";
import { moment } from "./moment.ts";
import type { Answer } from "./state.ts";
import { isWord, locale, say } from "./words.ts";

const root = document.getElementById("page") as HTMLElement;

export function showMessage(title: string, help: string): void {
  root.replaceChildren(card([heading(title), text("p", help)]));
}

export function showPreview(preview: LinkPreview, onBind: () => void): void {
  const button = text("button", say("bind_button")) as HTMLButtonElement;
  button.type = "button";
  button.addEventListener("click", () => {
    button.disabled = true;
    button.textContent = say("binding");
    onBind();
  });
  root.replaceChildren(
    card([
      text("p", preview.property_name, "property"),
      heading(say("for_you", { name: preview.key_name })),
      text("p", say("bind_intro", { property: preview.property_name })),
      doorList(preview.doors.map((name) => ({ name }))),
      ...(preview.bound ? [text("p", say("bind_bound"), "warning")] : [button, text("p", say("bind_note"), "note")]),
    ]),
  );
}

export interface PassScreen {
  pass: GuestPass;
  answer: Answer;
  /** By the portal's clock. */
  now: Date;
  code: string | undefined;
  secondsLeft: number;
  online: boolean;
  justUsed: boolean;
}

let drawn = "";

export function showPass(screen: PassScreen): void {
  const { pass, answer, code } = screen;
  // The countdown changes every second, the rest seldom: drawing it anew would make screen readers repeat it.
  const shape = JSON.stringify([pass.pass, pass.doors, answer, code, screen.online, screen.justUsed]);
  if (shape !== drawn || document.getElementById("countdown") === null) {
    drawn = shape;
    root.replaceChildren(
      card([
        text("p", pass.property_name, "property"),
        heading(say("for_you", { name: pass.key_name })),
        banner(answer, (at) => moment(at, screen.now, pass.offsets.zone, locale)),
        ...(code === undefined ? [] : [symbol(code), countdown(), text("p", say("hold"), "hold")]),
        ...(screen.justUsed ? [status(say("used"))] : []),
        ...(screen.online ? [] : [status(say("offline"))]),
        doorList(pass.doors.map((door) => (door.connected ? door : { ...door, note: say("door_offline") }))),
      ]),
    );
  }
  const left = document.getElementById("countdown");
  if (left !== null) {
    left.textContent = say("renews", { seconds: String(screen.secondsLeft) });
    left.style.setProperty("--left", String(screen.secondsLeft / 15));
  }
}

function banner(answer: Answer, moment: (at: Date) => string): HTMLElement {
  const box = document.createElement("div");
  box.className = `banner ${answer.kind}`;
  box.setAttribute("role", "status");
  switch (answer.kind) {
    case "admits":
      box.append(text("strong", answer.until === undefined ? say("admits") : say("admits_until", { time: moment(answer.until) })));
      break;
    case "denied":
      box.append(text("strong", isWord(answer.reason) ? say(answer.reason) : say("denied_other")));
      box.append(
        answer.next === undefined
          ? text("p", say("ask_host"))
          : text("p", `${say("next", { time: moment(answer.next) })} ${say("wait_help")}`),
      );
      break;
    case "stale":
      box.append(text("strong", say("stale")), text("p", say("stale_help")));
      break;
  }
  return box;
}

/** A QR symbol in alphanumeric mode, dark on white in both themes: many readers cannot take it inverted. */
function symbol(code: string): SVGSVGElement {
  const modules = encodeQR(code, "raw", { ecc: "medium", encoding: "alphanumeric", border: 4 });
  const size = modules.length;
  let path = "";
  for (const [y, row] of modules.entries()) {
    for (const [x, dark] of row.entries()) if (dark) path += `M${x} ${y}h1v1h-1z`;
  }
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", `0 0 ${size} ${size}`);
  svg.setAttribute("class", "code");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", say("code_label"));
  svg.setAttribute("shape-rendering", "crispEdges");
  const ground = document.createElementNS("http://www.w3.org/2000/svg", "path");
  ground.setAttribute("fill", "#fff");
  ground.setAttribute("d", `M0 0h${size}v${size}h-${size}z`);
  const ink = document.createElementNS("http://www.w3.org/2000/svg", "path");
  ink.setAttribute("fill", "#000");
  ink.setAttribute("d", path);
  svg.append(ground, ink);
  return svg;
}

function countdown(): HTMLElement {
  const line = text("p", "", "countdown");
  line.id = "countdown";
  return line;
}

function doorList(doors: { name: string; note?: string }[]): HTMLElement {
  const section = document.createElement("section");
  section.className = "doors";
  const list = document.createElement("ul");
  for (const door of doors) {
    const item = text("li", door.name);
    if (door.note !== undefined) item.append(text("small", door.note));
    list.append(item);
  }
  section.append(text("h2", say("opens")), list);
  return section;
}

function status(words: string): HTMLElement {
  const line = text("p", words, "status");
  line.setAttribute("role", "status");
  return line;
}

function heading(words: string): HTMLElement {
  return text("h1", words);
}

function card(children: (HTMLElement | SVGElement)[]): HTMLElement {
  const article = document.createElement("article");
  article.append(...children);
  return article;
}

function text(tag: string, words: string, className = ""): HTMLElement {
  const element = document.createElement(tag);
  element.textContent = words;
  if (className !== "") element.className = className;
  return element;
}
