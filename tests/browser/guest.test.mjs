// The guest's page in a real browser at phone size: screenshots of it are read by an independent decoder (zxing-cpp), and
// what they say is held before a real door.

import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { chromium, devices } from "playwright-core";
import { prepareZXingModule, readBarcodes } from "zxing-wasm/reader";
import { Town } from "./town.mjs";

const PICTURES = process.env.LATCHKEY_PICTURES;
const MINUTE = 60_000;
let town;
let browser;

before(async () => {
  if (PICTURES) await mkdir(PICTURES, { recursive: true });
  // By itself it would fetch its program from a content network.
  const decoder = fileURLToPath(import.meta.resolve("zxing-wasm/reader/zxing_reader.wasm"));
  prepareZXingModule({ overrides: { wasmBinary: (await readFile(decoder)).buffer } });
  town = await Town.start();
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync",
    ],
  });
});

after(async () => {
  await browser?.close();
  await town?.stop();
});

/** A phone of its own, whose clock is this much off. */
async function phone({ wrongBy = 0, scheme = "light", locale = "en-GB" } = {}) {
  const context = await browser.newContext({ ...devices["Pixel 7"], colorScheme: scheme, locale });
  const page = await context.newPage();
  page.problems = [];
  page.on("pageerror", (error) => page.problems.push(error.message));
  page.on("console", (line) => line.type() === "error" && page.problems.push(line.text()));
  const { now } = await town.ask({ do: "now" });
  await page.clock.install({ time: new Date(now).getTime() + wrongBy });
  return { context, page };
}

async function bind(page, link) {
  await page.goto(link);
  await page.getByRole("button", { name: "Use on this phone" }).click();
  await page.locator("svg.code").waitFor();
}

/** A photograph of the screen, as text. */
async function photograph(page, name) {
  await page.locator("svg.code").waitFor();
  const picture = await page.screenshot({ fullPage: false, ...(PICTURES && name ? { path: `${PICTURES}/${name}.png` } : {}) });
  const read = await readBarcodes(new Blob([picture]), { formats: ["QRCode"], tryHarder: true });
  assert.equal(read.length, 1, "the screenshot holds one code");
  return read[0].text;
}

/** Lets time pass, at the property and on a phone. */
async function pass(page, milliseconds) {
  await town.ask({ do: "advance", milliseconds });
  await page?.clock.fastForward(milliseconds);
}

test("a code, photographed, opens the gate once", async () => {
  const { link } = await town.ask({ do: "invite", name: "Mira", doors: ["Main gate", "North gate"] });
  const { context, page } = await phone();
  await page.goto(link);
  await page.getByText("Key for Mira").waitFor();
  assert.ok(await page.getByText("Main gate").isVisible());
  if (PICTURES) await page.screenshot({ path: `${PICTURES}/preview.png` });
  await page.getByRole("button", { name: "Use on this phone" }).click();
  const picture = await photograph(page, "admits");
  assert.ok(picture.startsWith("LK1:"));
  assert.equal(await town.scan("Main gate", picture), "opened");
  assert.equal(await town.scan("Main gate", picture), "code_used_before");
  await page.getByText("This code has been used").waitFor();
  const next = await photograph(page);
  assert.notEqual(next, picture, "a new code comes by itself after a use");
  assert.equal(await town.scan("Main gate", next), "opened");
  assert.equal(new URL(page.url()).hash, "", "the link's secret does not stay in the address");
  assert.deepEqual(page.problems, []);
  await context.close();
});

test("a gate without a network that never heard of the guest opens for the long code, once", async () => {
  const { link } = await town.ask({ do: "invite", name: "Nils", doors: ["North gate"] });
  const { context, page } = await phone({ scheme: "dark" });
  await bind(page, link);
  const picture = await photograph(page, "admits-dark");
  assert.equal(await town.scan("North gate", picture), "opened");
  assert.equal(await town.scan("North gate", picture), "code_used_before");
  await context.close();
});

test("a picture whose window has passed opens nothing", async () => {
  const { link } = await town.ask({ do: "invite", name: "Olga", doors: ["Main gate", "North gate"] });
  const { context, page } = await phone();
  await bind(page, link);
  const picture = await photograph(page);
  await pass(page, 1 * MINUTE);
  assert.equal(await town.scan("Main gate", picture), "code_too_old");
  assert.equal(await town.scan("North gate", picture), "code_too_old");
  assert.equal(await town.scan("Main gate", await photograph(page)), "opened");
  await context.close();
});

test("the page works without a network, opened afresh, at a gate without one", async () => {
  const { link } = await town.ask({ do: "invite", name: "Pavel", doors: ["Main gate", "North gate"] });
  const { context, page } = await phone();
  await bind(page, link);
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
  await context.setOffline(true);
  await town.ask({ do: "network", door: "Main gate", up: false });
  await page.reload();
  await page.getByText("No signal. The code still works.").waitFor();
  assert.equal(await town.scan("North gate", await photograph(page, "offline")), "opened");
  await pass(page, 16_000);
  assert.equal(await town.scan("Main gate", await photograph(page)), "opened");
  await town.ask({ do: "network", door: "Main gate", up: true });
  await context.close();
});

for (const wrongBy of [-4 * MINUTE, 4 * MINUTE]) {
  test(`a phone ${wrongBy / MINUTE} minutes wrong, in touch once before`, async () => {
    const { link } = await town.ask({ do: "invite", name: "Quirin", doors: ["North gate"] });
    const { context, page } = await phone({ wrongBy });
    await bind(page, link);
    await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
    await context.setOffline(true);
    await page.reload();
    assert.equal(await town.scan("North gate", await photograph(page)), "opened");
    await context.close();
  });
}

test("a gate whose clock has drifted admits within its uncertainty, then refuses and says why", async () => {
  const { link } = await town.ask({ do: "invite", name: "Rosa", doors: ["North gate"] });
  const { context, page } = await phone();
  await bind(page, link);
  // A day at a drift within what is assumed of oscillators: off by 3 seconds, and the door allows for 9.
  await town.ask({ do: "drift", door: "North gate", ppm: 40 });
  await pass(page, 24 * 60 * MINUTE);
  await page.reload();
  assert.equal(await town.scan("North gate", await photograph(page)), "opened");
  // A day far outside of it: off by 81 seconds, which is more than the window and the 17 that the door allows for.
  await town.ask({ do: "drift", door: "North gate", ppm: 900 });
  await pass(page, 24 * 60 * MINUTE);
  await page.reload();
  assert.equal(await town.scan("North gate", await photograph(page)), "code_too_old");
  // Two weeks more without a challenge: off by over two minutes, and the door knows that it does not know.
  await town.ask({ do: "drift", door: "North gate", ppm: 60 });
  await pass(page, 14 * 24 * 60 * MINUTE);
  await page.reload();
  assert.equal(await town.scan("North gate", await photograph(page)), "clock_unsure");
  await context.close();
});

test("a key that does not admit says so in plain words, in dark and in another language too", async () => {
  const { link } = await town.ask({ do: "invite", name: "Maximiliana Konstantinopoulou-Featherstonehaugh", doors: ["Main gate"], begins_in_days: 2 });
  const { context, page } = await phone({ scheme: "dark" });
  await page.goto(link);
  await page.getByRole("button", { name: "Use on this phone" }).click();
  await page.getByText("Not yet").waitFor();
  await page.getByText(/You can go in from \w+day,? \d+ \w+\. /).waitFor();
  assert.equal(await page.locator("svg.code").count(), 0, "no code where none would open");
  if (PICTURES) await page.screenshot({ path: `${PICTURES}/denied-dark.png`, fullPage: true });
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.equal(overflow, 0, "long names do not push the page sideways");
  await context.close();
  const other = await phone({ locale: "de-DE" });
  await other.page.goto(link);
  await other.page.getByText("auf einem anderen Telefon").waitFor();
  await other.context.close();
});

test("a withdrawn key ends on the open page", async () => {
  const { link, key } = await town.ask({ do: "invite", name: "Selma", doors: ["Main gate"] });
  const { context, page } = await phone();
  await bind(page, link);
  await town.ask({ do: "withdraw", key });
  await page.getByText("This link is no longer good").or(page.getByText("This key was withdrawn")).waitFor();
  assert.equal(await page.locator("svg.code").count(), 0);
  await context.close();
});

test("nothing but the page's own script and style runs", async () => {
  const { link } = await town.ask({ do: "invite", name: "<img src=x onerror=alert(1)>", doors: ["Main gate"] });
  const { context, page } = await phone();
  const foreign = [];
  page.on("request", (request) => new URL(request.url()).origin !== new URL(link).origin && foreign.push(request.url()));
  await bind(page, link);
  await page.getByText("<img src=x onerror=alert(1)>").waitFor();
  const ran = await page.evaluate(() => {
    const script = document.createElement("script");
    script.textContent = "window.injected = true";
    document.body.append(script);
    return window.injected === true;
  });
  assert.equal(ran, false, "the policy lets no foreign script run");
  assert.deepEqual(foreign, []);
  await context.close();
});
