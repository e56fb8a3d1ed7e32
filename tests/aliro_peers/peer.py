"""The Rust side, asked line by line."""

import json
import subprocess


class Peer:
    """`aliro/examples/documents.rs`, running."""

    def __init__(self, program):
        self.process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, operation, **arguments):
        self.process.stdin.write(json.dumps({operation: arguments}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"the Rust side went away at {operation} {arguments}")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        if self.process.wait() != 0:
            raise SystemExit("the Rust side failed")
