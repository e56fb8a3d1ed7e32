"""Compares the aliro crate with other people's COSE, CBOR, X.509 and iCalendar.

    run.py PROGRAM [--seed TEXT] [--documents N] [--schedules N]

PROGRAM is the built example `documents` of the aliro crate. At the end, a line a
comparison, and `peers: P passed, F failed`; exit 0 when nothing failed. The same
seed makes the same cases.
"""

import argparse
import sys

sys.dont_write_bytecode = True  # the sources' folder stays as it is

import documents
import schedules
from peer import Peer

REPORT_EVERY = 10_000


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--documents", type=int, default=0, help="cases of documents")
    parser.add_argument("--schedules", type=int, default=0, help="cases of schedules")
    arguments = parser.parse_args()

    peer = Peer(arguments.program)
    total_passed, total_failed = 0, 0
    print(f"seed {arguments.seed}")
    for name, comparison, cases in [
        ("documents", documents, arguments.documents),
        ("schedules", schedules, arguments.schedules),
    ]:
        if not cases:
            continue
        passed, failures = compare(peer, name, comparison, arguments.seed, cases)
        for failure in failures[:10]:
            print(failure)
        print(f"{name}: {passed} agree, {len(failures)} differ")
        total_passed += passed
        total_failed += len(failures)
    peer.close()
    print(f"peers: {total_passed} passed, {total_failed} failed")
    return 1 if total_failed else 0


def compare(peer, name, comparison, seed, cases):
    """How many agree, and what to say about those that do not."""
    passed, failures = 0, []
    for case in range(cases):
        if case and case % REPORT_EVERY == 0:
            print(f"{name}: {case} of {cases}, {len(failures)} differ so far", flush=True)
        agreeing, differing = comparison.run(peer, f"{seed}/{case}")
        passed += agreeing
        failures += differing
    return passed, failures


if __name__ == "__main__":
    sys.exit(main())
