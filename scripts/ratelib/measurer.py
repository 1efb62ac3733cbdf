"""The process that measures: `dpdkproj ... sendrecv --trials`, one for a whole search."""

import json
import subprocess
import time
from pathlib import Path
from typing import Any

from . import figures

STOP_S = 10


class MeasurerError(Exception):
    """What went wrong, in one line."""


class Measurer:
    """The program, from its start to its end. Each trial is added to `trials`."""

    def __init__(self, program: Path, arguments: list[str], log: Path) -> None:
        self.trials: list[figures.Trial] = []
        self.log = log
        self.begun = time.monotonic()
        self.stderr = open(log, "w", encoding="utf-8")
        # In a session of its own: Ctrl-C is for us, and we end it.
        self.process = subprocess.Popen([program, *arguments, "--trials", "--quiet"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self.stderr, text=True, start_new_session=True)

    def __enter__(self) -> "Measurer":
        return self

    def __exit__(self, *_: Any) -> None:
        self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.stderr):
            try:
                if pipe:
                    pipe.close()
            except BrokenPipeError:
                pass

    def said(self) -> str:
        """The last line that the program wrote for people."""
        self.stderr.flush()
        lines = [line.strip() for line in self.log.read_text(errors="replace").splitlines()]
        ours = [line for line in lines if line.startswith("dpdkproj: ")] or lines or ["it said nothing"]
        return ours[-1].removeprefix("dpdkproj: ")

    def ask(self, **request: Any) -> figures.Trial:
        """One trial. What `request` leaves out is as on the command line."""
        assert self.process.stdin and self.process.stdout
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            raise MeasurerError(f"dpdkproj ended with {self.process.returncode}: {self.said()} (all of it: {self.log})")
        answer = json.loads(line)
        if "error" in answer:
            raise MeasurerError(f"dpdkproj refuses {json.dumps(request)}: {answer['error']}")
        if answer["stopped"]:
            raise MeasurerError("dpdkproj was stopped by a signal")
        if not answer["ledger_balanced"]:
            raise MeasurerError(f"the ledger does not balance: {'; '.join(answer['ledger_broken'])}")
        one = figures.trial(time.monotonic() - self.begun, answer)
        self.trials.append(one)
        return one
