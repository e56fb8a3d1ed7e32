// The drawing of the property: a card a place, a tile a door.

import type { Board, Door, Happening } from "./board.ts";

const SHOWN_MS = 6_000;
/** A place of more doors takes the width of two cards. */
const BROAD = 8;

interface Tile {
  tile: HTMLElement;
  note: HTMLElement;
  door: Door;
  /** Across the whole card: a building's entrance. */
  wide: boolean;
  timer?: number;
}

const tiles = new Map<string, Tile>();

export function drawPlan(root: HTMLElement, board: Board): void {
  tiles.clear();
  const places = new Map<string, Door[]>();
  for (const door of board.doors) places.set(door.place, [...(places.get(door.place) ?? []), door]);
  root.replaceChildren(...[...places].map(([place, doors]) => drawPlace(place, doors)));
}

function drawPlace(place: string, doors: Door[]): HTMLElement {
  const section = document.createElement("section");
  const building = doors.some((door) => door.kind === "unit");
  section.className = ["place", building ? "building" : "", !building && doors.length > BROAD ? "broad" : ""].filter(Boolean).join(" ");
  const title = document.createElement("h3");
  title.textContent = place;
  const list = document.createElement("div");
  list.className = "doors";
  list.append(...doors.map((door) => drawDoor(door, place, building && door.kind !== "unit")));
  section.append(title, list);
  return section;
}

function drawDoor(door: Door, place: string, wide: boolean): HTMLElement {
  const tile = document.createElement("div");
  const name = document.createElement("b");
  name.textContent = door.name.startsWith(`${place} `) ? capital(door.name.slice(place.length + 1)) : door.name;
  const note = document.createElement("small");
  tile.append(name, note);
  tiles.set(door.id, { tile, note, door, wide });
  rest(door.id);
  return tile;
}

export function showHappening(happening: Happening): void {
  const entry = happening.door === undefined ? undefined : tiles.get(happening.door);
  if (entry === undefined || happening.opened === undefined) return;
  clearTimeout(entry.timer);
  entry.tile.className = shape(entry, happening.opened ? "opened" : "denied");
  entry.note.textContent = happening.short ?? "";
  entry.timer = setTimeout(() => rest(entry.door.id), SHOWN_MS);
}

export function showConnected(door: string, connected: boolean): void {
  const entry = tiles.get(door);
  if (entry === undefined) return;
  entry.door.connected = connected;
  rest(door);
}

/** How a door looks when nobody stands there. */
function rest(id: string): void {
  const entry = tiles.get(id);
  if (entry === undefined) return;
  const { door } = entry;
  entry.tile.className = shape(entry, door.networked && !door.connected ? "away" : "");
  entry.note.textContent = !door.networked
    ? "no network; phones bring its news"
    : door.connected
      ? ""
      : "off the network; decides by itself";
}

function shape({ wide }: Tile, state: string): string {
  return ["door", wide ? "wide" : "", state].filter(Boolean).join(" ");
}

function capital(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1);
}
