import assert from "node:assert/strict";
import { test } from "node:test";
import { moment } from "../src/moment.ts";

const now = new Date("2026-11-24T10:00:00Z");

test("a moment of today is a time of day on the property's clock, wherever the phone is", () => {
  assert.equal(moment(new Date("2026-11-24T15:30:00Z"), now, "Europe/Lisbon", "en-GB"), "15:30");
  const there = moment(new Date("2026-11-24T20:30:00Z"), now, "Asia/Tokyo", "en-GB");
  assert.ok(/^Wednesday,? 25 November.* 0?5:30$/.test(there), there);
});

test("a day's first moment is the day itself", () => {
  assert.ok(/^Thursday,? 26 November$/.test(moment(new Date("2026-11-26T00:00:00Z"), now, "Europe/Lisbon", "en-GB")));
  assert.ok(/^Donnerstag, 26\. November$/.test(moment(new Date("2026-11-25T15:00:00Z"), now, "Asia/Tokyo", "de-DE")));
});
