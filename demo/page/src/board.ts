// What the demo tells this page, over `/board` and `/live`.

export interface Door {
  id: string;
  name: string;
  place: string;
  kind: "unit" | "gate" | "garage" | "common_area";
  /** Whether a network ever reaches it; the others are brought news by phones. */
  networked: boolean;
  connected: boolean;
}

export interface Switch {
  id: string;
  label: string;
  failing: boolean;
}

export interface Board {
  property: string;
  people: number;
  doors: Door[];
  switches: Switch[];
  phones: { id: string; label: string }[];
  feed: Happening[];
}

export interface Happening {
  at: string;
  door?: string;
  opened?: boolean;
  /** For the feed. */
  text: string;
  /** For the door itself, whose name needs no repeating. */
  short?: string;
}

export type Live =
  | { type: "happening"; happening: Happening }
  | { type: "connected"; door: string; connected: boolean }
  | { type: "switch"; id: string; failing: boolean };

export async function post<T>(path: string, body: unknown): Promise<T> {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(await answer.text());
  return (answer.status === 204 ? undefined : await answer.json()) as T;
}
