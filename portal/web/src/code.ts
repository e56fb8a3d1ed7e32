// Rotating codes: docs/protocol.md, "Codes". `LK1:` and base45 of pass id, issue time and signature; a long code
// goes on with the pass's statement, so that a gate which never heard of the guest can check it without a network.

import { encode as base45 } from "base45";
import { ascii, concat, fromBase64, fromHex } from "./bytes.ts";
import { sign } from "./keys.ts";

/** How often a new code is issued, in milliseconds. */
export const PERIOD_MS = 15_000;

export interface CodeSource {
  pass: string;
  property: string;
  /** Pass payload ‖ issuer signature, base64url. */
  statement: string;
}

/** The code for an issue time in centiseconds since 1970. */
export async function makeCode(
  source: CodeSource,
  key: CryptoKey,
  centiseconds: number,
  long: boolean,
): Promise<string> {
  const pass = fromHex(source.pass);
  const time = issueTime(centiseconds);
  const signature = await sign(key, concat(ascii("latchkey/1/code\0"), fromHex(source.property), pass, time));
  const statement = long ? fromBase64(source.statement) : new Uint8Array();
  return `LK1:${base45(concat(pass, time, signature, statement))}`;
}

/**
 * The issue time of the next code, in centiseconds: now, and later than any before, because a door takes newer ones only
 * and a correction of the clock may have gone back a little. One that went far back was wrong before: then it is now.
 */
export function issueAfter(now: number, ...earlier: number[]): number {
  const latest = Math.max(...earlier);
  return latest >= now && latest - now < PERIOD_MS / 10 ? latest + 1 : now;
}

/** Five bytes, big-endian. Bit operations would cut it to 32 bits. */
export function issueTime(centiseconds: number): Uint8Array {
  const out = new Uint8Array(5);
  let rest = Math.floor(centiseconds);
  for (let i = 4; i >= 0; i--) {
    out[i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  return out;
}
