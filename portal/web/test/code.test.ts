import assert from "node:assert/strict";
import { test } from "node:test";
import encodeQR from "qr";
import { ascii, concat, fromHex, toBase64 } from "../src/bytes.ts";
import { issueAfter, issueTime, makeCode } from "../src/code.ts";
import { makeCodeKey } from "../src/keys.ts";

const pass = "0102030405060708";
const property = "000102030405060708090a0b0c0d0e0f";
const statement = Uint8Array.from({ length: 180 }, (_, i) => (i * 7) % 256);

test("an issue time is five bytes, big-endian, and keeps what 32 bits cannot hold", () => {
  assert.deepEqual([...issueTime(0x01_02_03_04_05)], [1, 2, 3, 4, 5]);
  assert.deepEqual([...issueTime(179_000_000_000)], [0x29, 0xad, 0x3b, 0x3e, 0x00]);
});

test("a short code is what doc says, and its signature verifies over property, pass and time", async () => {
  const pair = await makeCodeKey();
  const text = await makeCode({ pass, property, statement: toBase64(statement) }, pair.privateKey, 179_000_000_000, false);
  assert.ok(text.startsWith("LK1:"));
  assert.equal(text.length, 4 + 116);
  const bytes = decode45(text.slice(4));
  assert.deepEqual([...bytes.slice(0, 8)], [...fromHex(pass)]);
  const signed = concat(ascii("latchkey/1/code\0"), fromHex(property), bytes.slice(0, 13));
  const good = await crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, pair.publicKey, bytes.slice(13, 77), signed);
  assert.ok(good);
});

test("a long code carries the statement, stays under 400 characters and fits a version 12 symbol", async () => {
  const pair = await makeCodeKey();
  const text = await makeCode({ pass, property, statement: toBase64(statement) }, pair.privateKey, 179_000_000_000, true);
  assert.deepEqual([...decode45(text.slice(4)).slice(77)], [...statement]);
  assert.ok(text.length < 400, `${text.length} characters`);
  assert.ok(encodeQR(text, "raw", { ecc: "medium", encoding: "alphanumeric", border: 1 }).length - 2 <= 17 + 4 * 12);
});

test("two codes of one instant differ: signatures are fresh", async () => {
  const pair = await makeCodeKey();
  const source = { pass, property, statement: toBase64(statement) };
  assert.ok((await makeCode(source, pair.privateKey, 1, false)) !== (await makeCode(source, pair.privateKey, 2, false)));
});

test("the code key cannot be exported", async () => {
  const pair = await makeCodeKey();
  await assert.rejects(crypto.subtle.exportKey("pkcs8", pair.privateKey));
});

/** RFC 9285, written for this test alone. */
function decode45(text: string): Uint8Array<ArrayBuffer> {
  const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
  const out: number[] = [];
  for (let i = 0; i < text.length; i += 3) {
    const digits = [...text.slice(i, i + 3)].map((c) => alphabet.indexOf(c));
    const value = digits.reduceRight((sum, digit) => sum * 45 + digit, 0);
    if (digits.length === 3) out.push(value >> 8);
    out.push(value & 255);
  }
  return Uint8Array.from(out);
}

test("a code is later than those before, unless the clock was far ahead then", () => {
  assert.equal(issueAfter(5_000_000, 4_999_000, 0), 5_000_000);
  assert.equal(issueAfter(5_000_000, 5_000_120, 4_999_000), 5_000_121);
  assert.equal(issueAfter(5_000_000, 4_999_000, 5_000_000), 5_000_001);
  assert.equal(issueAfter(5_000_000, 5_024_000, 0), 5_000_000);
});
