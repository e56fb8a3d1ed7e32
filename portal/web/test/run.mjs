// Bundles the tests like the page itself, then runs them with Node's runner.
import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { build } from "esbuild";

const out = await mkdtemp("node_modules/.tests-");
const tests = (await readdir("test")).filter((name) => name.endsWith(".test.ts")).map((name) => `test/${name}`);
await build({ entryPoints: tests, bundle: true, outdir: out, format: "esm", platform: "node", outExtension: { ".js": ".mjs" } });
const files = (await readdir(out)).map((name) => `${out}/${name}`);
const { status } = spawnSync(process.execPath, ["--test", ...files], { stdio: "inherit" });
await rm(out, { recursive: true });
process.exit(status ?? 1);
