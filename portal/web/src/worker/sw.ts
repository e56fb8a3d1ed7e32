// Keeps the page itself, so that it opens without a network. Answers of the portal are never kept here: the page
// holds its pass in IndexedDB.

declare const BUILD: string;
const worker = self as unknown as ServiceWorkerGlobalScope;

const SHELL = `latchkey-guest-${BUILD}`;
const FILES = ["/g/", "/g/manifest.webmanifest", "/g/icon.svg"];

worker.addEventListener("install", (event) => {
  event.waitUntil(
    caches
      .open(SHELL)
      .then((cache) => cache.addAll(FILES))
      .then(() => worker.skipWaiting()),
  );
});

worker.addEventListener("activate", (event) => {
  event.waitUntil(
    caches
      .keys()
      .then((names) => Promise.all(names.filter((name) => name !== SHELL).map((name) => caches.delete(name))))
      .then(() => worker.clients.claim()),
  );
});

worker.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || !url.pathname.startsWith("/g/")) return;
  event.respondWith(keptThenFresh(event));
});

/** At a gate with half a bar of signal a page must not wait for the network: the kept copy at once, a newer one next time. */
async function keptThenFresh(event: FetchEvent): Promise<Response> {
  const cache = await caches.open(SHELL);
  const kept = await cache.match(event.request, { ignoreSearch: true });
  const fresh = fetch(event.request).then(async (answer) => {
    if (answer.ok) await cache.put(event.request, answer.clone());
    return answer;
  });
  if (kept === undefined) return fresh;
  event.waitUntil(fresh.catch(() => undefined));
  return kept;
}
