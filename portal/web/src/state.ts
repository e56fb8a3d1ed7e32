// What the page shows, from what it holds and the time. No rule of access stands here: the portal sends its own
// decisions ahead as a timeline, and the page reads off the one that covers now.

import type { GuestMoment, GuestPass } from "./api.ts";

export type Answer =
  | { kind: "admits"; until?: Date }
  | { kind: "denied"; reason: string; next?: Date }
  | { kind: "stale" };

export function answerAt(pass: GuestPass, now: Date): Answer {
  let current: GuestMoment | undefined;
  let following: GuestMoment[] = [];
  for (const [index, moment] of pass.timeline.entries()) {
    if (new Date(moment.from) > now) break;
    current = moment;
    following = pass.timeline.slice(index + 1);
  }
  // What is over stays over, whatever becomes of the statement.
  if (current?.denied === "expired") return { kind: "denied", reason: current.denied };
  if (current === undefined || now >= new Date(pass.statement_until)) return { kind: "stale" };
  if (current.denied === undefined) {
    const end = following.find((moment) => moment.denied !== undefined);
    return end === undefined ? { kind: "admits" } : { kind: "admits", until: new Date(end.from) };
  }
  const next = following.find((moment) => moment.denied === undefined);
  return next === undefined
    ? { kind: "denied", reason: current.denied }
    : { kind: "denied", reason: current.denied, next: new Date(next.from) };
}

/** Whether some door has not proved that it knows the pass; then the code must be the long one. */
export function needsLongCode(pass: GuestPass): boolean {
  return pass.doors.some((door) => !door.knows_pass);
}
