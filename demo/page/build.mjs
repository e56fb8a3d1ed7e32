// Builds dist/page.html from src/: one file, script and style inside. Kept in the repository: `cargo run` needs no Node.

import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { build } from "esbuild";

const common = { bundle: true, minify: true, write: false, target: "es2022", legalComments: "none", charset: "utf8" };
const script = await bundle("src/main.ts", { format: "iife" });
const style = await bundle("src/page.css", {});
const page = (await readFile("src/page.html", "utf8"))
  .replace("/*STYLE*/", () => style)
  .replace("/*SCRIPT*/", () => script);

await rm("dist", { recursive: true, force: true });
await mkdir("dist");
await writeFile("dist/page.html", page);

async function bundle(entry, options) {
  const { outputFiles } = await build({ ...common, ...options, entryPoints: [entry] });
  // A closing tag inside would end the element early.
  return outputFiles[0].text.trimEnd().replaceAll("</script", "<\\/script");
}
