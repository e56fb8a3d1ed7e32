// What this browser keeps: the pass, its code key (not exportable) and how far its clock is off. IndexedDB, since
// only there a CryptoKey can be kept without being exported.

import type { GuestPass } from "./api.ts";

export interface Held {
  /** SHA-256 of the link's token, base64url: the same link opened again on this phone shows the pass. */
  link: string;
  pass: GuestPass;
  key: CryptoKey;
  /** Portal's time minus this device's, in milliseconds. */
  clockOffset: number;
}

const SLOT = "held";

export async function load(): Promise<Held | undefined> {
  const db = await open();
  return request<Held | undefined>(db.transaction("page").objectStore("page").get(SLOT));
}

export async function save(held: Held): Promise<void> {
  const db = await open();
  await request(db.transaction("page", "readwrite").objectStore("page").put(held, SLOT));
}

export async function clear(): Promise<void> {
  const db = await open();
  await request(db.transaction("page", "readwrite").objectStore("page").delete(SLOT));
}

function open(): Promise<IDBDatabase> {
  const opening = indexedDB.open("latchkey-guest", 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore("page");
  return request(opening);
}

function request<T>(pending: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    pending.onsuccess = () => resolve(pending.result);
    pending.onerror = () => reject(pending.error);
  });
}
