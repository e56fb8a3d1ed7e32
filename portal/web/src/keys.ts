// The code key: P-256, made here, never exportable. It signs codes and, once, its own registration.

import { ascii, concat, fromBase64, fromHex, toBase64 } from "./bytes.ts";

const CURVE = { name: "ECDSA", namedCurve: "P-256" } as const;
const ES256 = { name: "ECDSA", hash: "SHA-256" } as const;

export async function makeCodeKey(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey(CURVE, false, ["sign", "verify"]);
}

/** ES256 as raw r‖s, 64 bytes. */
export async function sign(key: CryptoKey, message: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.sign(ES256, key, message));
}

export interface Registration {
  public_key: string;
  nonce: string;
  signature: string;
}

const CODE_KEY = 2;
const BY_LINK = 2;

/** Proof of possession over the portal's nonce: docs/protocol.md, "Registering a key". */
export async function register(
  pair: CryptoKeyPair,
  property: string,
  link: string,
  nonce: string,
): Promise<Registration> {
  const publicKey = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
  const message = concat(
    ascii("latchkey/1/credential-proof\0"),
    fromHex(property),
    Uint8Array.of(CODE_KEY, BY_LINK),
    fromHex(link),
    fromBase64(nonce),
    publicKey,
  );
  return {
    public_key: toBase64(publicKey),
    nonce,
    signature: toBase64(await sign(pair.privateKey, message)),
  };
}
