// A small property at work for these tests: portal, an online gate and one without a network, on one virtual clock that
// runs with real time and can be moved on. See tests/src/bin/town.rs for what it understands.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

export class Town {
  static async start() {
    const program = process.env.LATCHKEY_TOWN;
    if (!program) throw new Error("LATCHKEY_TOWN names no program; run this suite with `cargo xtask test browser`");
    const town = new Town(spawn(program, { stdio: ["pipe", "pipe", "inherit"] }));
    await town.answer();
    return town;
  }

  constructor(child) {
    this.child = child;
    this.waiting = [];
    this.ready = [];
    createInterface({ input: child.stdout }).on("line", (line) => {
      const answer = JSON.parse(line);
      const next = this.waiting.shift();
      if (next) next.resolve(answer);
      else this.ready.push(answer);
    });
    child.on("exit", (status) => {
      for (const next of this.waiting.splice(0)) next.reject(new Error(`the property ended with ${status}`));
    });
  }

  answer() {
    const ready = this.ready.shift();
    if (ready) return Promise.resolve(ready);
    return new Promise((resolve, reject) => this.waiting.push({ resolve, reject }));
  }

  /** One request, one answer; requests are answered in order. */
  async ask(request) {
    this.child.stdin.write(`${JSON.stringify(request)}\n`);
    const answer = await this.answer();
    if (answer.error) throw new Error(answer.error);
    return answer;
  }

  /** What the door's reader says to this text: "opened", or the reason. */
  async scan(door, text) {
    return (await this.ask({ do: "scan", door, text })).answer;
  }

  async stop() {
    this.child.kill();
  }
}
