// Builds dist/ from src/: one page with script and style inside, named by their hashes in the policy, so that nothing
// else runs; and the service worker. dist/ is kept in the repository: the portal is built without Node.

import { createHash } from "node:crypto";
import { copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { build } from "esbuild";

const common = { bundle: true, minify: true, write: false, target: "es2022", legalComments: "none", charset: "utf8" };
const script = await bundle("src/main.ts", { format: "iife" });
const style = await bundle("src/guest.css", {});
const page = (await readFile("src/guest.html", "utf8"))
  .replace("/*STYLE*/", () => style)
  .replace("/*SCRIPT*/", () => script);
const worker = await bundle("src/worker/sw.ts", {
  format: "iife",
  define: { BUILD: JSON.stringify(createHash("sha256").update(page).digest("hex").slice(0, 16)) },
});
const policy = [
  "default-src 'none'",
  `script-src '${hash(script)}'`,
  `style-src '${hash(style)}'`,
  "connect-src 'self'",
  "img-src 'self'",
  "manifest-src 'self'",
  "worker-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

await rm("dist", { recursive: true, force: true });
await mkdir("dist");
await writeFile("dist/guest.html", page);
await writeFile("dist/sw.js", worker);
await writeFile("dist/policy.txt", policy);
await copyFile("src/icon.svg", "dist/icon.svg");
await copyFile("src/manifest.webmanifest", "dist/manifest.webmanifest");

async function bundle(entry, options) {
  const { outputFiles } = await build({ ...common, ...options, entryPoints: [entry] });
  // A closing tag inside would end the element early.
  return outputFiles[0].text.trimEnd().replaceAll("</script", "<\\/script");
}

function hash(text) {
  return `sha256-${createHash("sha256").update(text).digest("base64")}`;
}
