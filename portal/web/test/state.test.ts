import assert from "node:assert/strict";
import { test } from "node:test";
import type { GuestPass } from "../src/api.ts";
import { answerAt, needsLongCode } from "../src/state.ts";

const pass: GuestPass = {
  pass: "0102030405060708",
  property: "00",
  property_name: "Alder Court",
  key_name: "Cleaner",
  doors: [
    { id: "a", number: 1, name: "Gate", knows_pass: true, connected: true },
    { id: "b", number: 2, name: "Pool", knows_pass: true, connected: false },
  ],
  rules: {},
  offsets: { zone: "Europe/Lisbon" },
  status: "active",
  timeline: [
    { from: "2026-11-24T00:00:00Z", denied: "outside_hours" },
    { from: "2026-11-24T09:00:00Z" },
    { from: "2026-11-24T11:00:00Z", denied: "expired" },
  ],
  statement: "",
  statement_until: "2026-12-20T00:00:00Z",
  server_time: "2026-11-24T00:00:00Z",
};

test("the moment that covers now decides, and names the next change", () => {
  assert.deepEqual(answerAt(pass, new Date("2026-11-24T08:59:59Z")), {
    kind: "denied",
    reason: "outside_hours",
    next: new Date("2026-11-24T09:00:00Z"),
  });
  assert.deepEqual(answerAt(pass, new Date("2026-11-24T09:00:00Z")), { kind: "admits", until: new Date("2026-11-24T11:00:00Z") });
  assert.deepEqual(answerAt(pass, new Date("2026-11-24T11:00:00Z")), { kind: "denied", reason: "expired" });
});

test("outside what the portal sent ahead the page asks for a connection instead of guessing", () => {
  assert.deepEqual(answerAt(pass, new Date("2026-11-23T23:59:59Z")), { kind: "stale" });
  const standing = { ...pass, timeline: pass.timeline.slice(0, 2) };
  assert.deepEqual(answerAt(standing, new Date("2026-12-19T23:59:59Z")), { kind: "admits" });
  assert.deepEqual(answerAt(standing, new Date("2026-12-20T00:00:00Z")), { kind: "stale" });
});

test("what is over says so, and sends nobody online for nothing", () => {
  assert.deepEqual(answerAt(pass, new Date("2026-12-20T00:00:00Z")), { kind: "denied", reason: "expired" });
});

test("the code is long as long as one door has not proved that it knows the pass", () => {
  assert.equal(needsLongCode(pass), false);
  const [gate, pool] = pass.doors;
  assert.ok(gate && pool);
  assert.equal(needsLongCode({ ...pass, doors: [gate!, { ...pool!, knows_pass: false }] }), true);
});
