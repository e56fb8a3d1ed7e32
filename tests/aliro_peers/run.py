"""Compares the aliro crate with other people's COSE, CBOR, X.509 and iCalendar.

    run.py PROGRAM [--cases N] [--seed TEXT]

PROGRAM is the built example `documents` of the aliro crate. One line a suite,
`peers: P passed, F failed`, at the end; exit 0 when nothing failed. The same
seed makes the same cases.
"""

import argparse
import sys

sys.dont_write_bytecode = True  # the sources' folder stays as it is

import documents
import schedules
from peer import Peer


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--cases", type=int, default=2_000, help="schedules to compare")
    parser.add_argument("--seed", default="1")
    arguments = parser.parse_args()

    peer = Peer(arguments.program)
    total_passed, total_failed = 0, 0
    for name, suite, cases in [
        ("documents", documents, max(1, arguments.cases // 40)),
        ("schedules", schedules, arguments.cases),
    ]:
        passed, failures = suite.run(peer, arguments.seed, cases)
        for failure in failures[:10]:
            print(failure)
        print(f"{name}: {passed} agree, {len(failures)} differ")
        total_passed += passed
        total_failed += len(failures)
    peer.close()
    print(f"peers: {total_passed} passed, {total_failed} failed")
    return 1 if total_failed else 0


if __name__ == "__main__":
    sys.exit(main())
