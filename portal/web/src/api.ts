// What the page says to the portal. The shapes are those of /openapi.json.

import type { Registration } from "./keys.ts";

export interface LinkPreview {
  link: string;
  property: string;
  property_name: string;
  key_name: string;
  doors: string[];
  bound: boolean;
  nonce: string;
}

export interface GuestDoor {
  id: string;
  number: number;
  name: string;
  knows_pass: boolean;
  connected: boolean;
}

export interface GuestMoment {
  from: string;
  denied?: string;
}

export interface GuestPass {
  pass: string;
  property: string;
  property_name: string;
  key_name: string;
  doors: GuestDoor[];
  rules: unknown;
  /** The property's zone, by its IANA name, with more that the page does not need. */
  offsets: { zone: string };
  status: string;
  timeline: GuestMoment[];
  statement: string;
  statement_until: string;
  server_time: string;
  last_used?: number;
}

/** The portal answered, with a problem (RFC 9457). */
export class Refused extends Error {
  readonly slug: string;

  constructor(slug: string) {
    super(slug);
    this.slug = slug;
  }
}

/** The portal could not be reached. */
export class Offline extends Error {}

export async function previewLink(token: string): Promise<LinkPreview> {
  return call("POST", "/v1/links/preview", { token });
}

export async function bindLink(token: string, registration: Registration): Promise<GuestPass> {
  return call("POST", "/v1/links/bind", { token, ...registration });
}

export async function fetchPass(): Promise<GuestPass> {
  return call("GET", "/v1/guest/pass");
}

/** Calls back at every change that the portal tells of; the browser reconnects by itself. */
export function followChanges(onChange: () => void): () => void {
  const stream = new EventSource("/v1/guest/stream");
  stream.onmessage = onChange;
  stream.onopen = onChange;
  return () => stream.close();
}

async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  let answer: Response;
  try {
    answer = await fetch(path, {
      method,
      cache: "no-store",
      ...(body === undefined
        ? {}
        : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
    });
  } catch {
    throw new Offline();
  }
  if (answer.ok) return (await answer.json()) as T;
  // A gateway's page is no answer of the portal's.
  if (!answer.headers.get("content-type")?.startsWith("application/problem+json")) throw new Offline();
  const problem = (await answer.json()) as { type: string };
  throw new Refused(problem.type.split("/").pop() ?? "internal");
}
