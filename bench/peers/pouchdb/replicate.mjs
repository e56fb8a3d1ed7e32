// A server with a database for each size that is named, and a replica of each, both on disk; between them HTTP
// on the loopback. Each line of standard input names a size: five documents of that database change, then the
// replica catches up. A line of output says how long that took and what it cost in bodies, both ways.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";

const require = createRequire(import.meta.url);
const PouchDB = require("pouchdb");
const express = require("express");

const CHANGES = 5;

// The document that a key is, as JSON, is given by the caller.
const [folder, sizes] = [process.argv[2], process.argv.slice(3).map(Number)];
const key = JSON.parse(readFileSync(join(folder, "key.json"), "utf8"));

const AtServer = PouchDB.defaults({ prefix: join(folder, "server-") });
const app = express();
app.use("/", require("express-pouchdb")(AtServer, { mode: "minimumForPouchDB", inMemoryConfig: true }));
const server = createServer(app);
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const url = `http://127.0.0.1:${server.address().port}`;

let bytes = 0;
async function counted(address, options = {}) {
  bytes += options.body ? Buffer.byteLength(options.body) : 0;
  const answer = await PouchDB.fetch(address, options);
  const body = await answer.arrayBuffer();
  bytes += body.byteLength;
  return new Response(body.byteLength ? body : null, { status: answer.status, headers: answer.headers });
}

const databases = new Map();
for (const size of sizes) {
  const name = `keys-${size}`;
  const source = new AtServer(name);
  const documents = Array.from({ length: size }, (_, number) => ({ ...key, _id: `key-${number}` }));
  await source.bulkDocs(documents);
  const remote = new PouchDB(`${url}/${name}`, { fetch: counted });
  const replica = new PouchDB(join(folder, `replica-${size}`));
  await replica.replicate.from(remote, { batch_size: 1000 });
  databases.set(size, { source, remote, replica, turn: 0 });
}
console.log("ready");

for await (const line of createInterface({ input: process.stdin })) {
  const database = databases.get(Number(line));
  for (let change = 0; change < CHANGES; change += 1) {
    const at = database.turn++;
    const document = await database.source.get(`key-${at % Number(line)}`);
    await database.source.put({ ...document, name: `Renamed ${at}` });
  }
  bytes = 0;
  const begin = process.hrtime.bigint();
  const { docs_written: written } = await database.replica.replicate.from(database.remote);
  const seconds = Number(process.hrtime.bigint() - begin) / 1e9;
  if (written !== CHANGES) {
    throw new Error(`${written} documents came instead of ${CHANGES}`);
  }
  console.log(JSON.stringify({ seconds, bytes }));
}
process.exit(0);
