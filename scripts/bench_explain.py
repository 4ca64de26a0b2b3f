"""Precision and recall of `explain` over the kept logs, and its throughput on 50 MB of log.

A case is right when the first finding has one of its codes; a healthy log when there is none. A
finding of another code counts against precision, a case without a right one against recall.
`messages` stand without a log around them; a quarter are of failures we have no cause for.
"""

import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

from vllm_forge.diagnose.explain import explain
from vllm_forge.diagnose.registry import UNKNOWN
from vllm_forge.diagnose.sample import log_lines
from vllm_forge.records.finding import Finding

LOGS = Path(__file__).parents[1] / "tests" / "logs"
MEGABYTES = 50
FAILING_STEP = 250_000
SECONDS_ALLOWED = 2.0
RUNS = 3
"""The fastest counts: what else the machine does is no matter of ours."""


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    group: str
    codes: frozenset[str]
    also: frozenset[str]
    findings: tuple[Finding, ...]

    @property
    def right(self) -> bool:
        if not self.codes:
            return not self.findings
        return bool(self.findings) and self.findings[0].code in self.codes

    @property
    def beside(self) -> tuple[str, ...]:
        """Codes that were said and should not have been; `unknown` claims nothing."""
        allowed = self.codes | self.also | {UNKNOWN}
        return tuple(finding.code for finding in self.findings if finding.code not in allowed)


def development_cases() -> Iterator[Case]:
    for line in (LOGS / "failures-dev.jsonl").read_text().splitlines():
        case = json.loads(line)
        codes = frozenset(case["codes"])
        yield Case(case["id"], "development", codes, codes, explain(case["log"].splitlines()))


def kept_cases() -> Iterator[Case]:
    for path in sorted(LOGS.glob("*/*.log")):
        expected = json.loads(path.with_suffix(".expected.json").read_text())
        with path.open("rb") as stream:
            findings = explain(log_lines(stream))
        provoked = expected["source"].startswith("provoked")
        yield Case(
            str(path.relative_to(LOGS)),
            "healthy" if not expected["codes"] else "provoked" if provoked else "public",
            frozenset(expected["codes"]),
            frozenset(expected["also"]),
            findings,
        )


def messages() -> Iterator[Case]:
    for number, line in enumerate((LOGS / "variants.jsonl").read_text().splitlines(), 1):
        case = json.loads(line)
        codes = frozenset(case["codes"]) - {""}
        findings = explain(case["log"].splitlines())
        silent = "" in case["codes"] and not findings
        yield Case(
            f"message {number}", "messages", frozenset() if silent else codes, codes, findings
        )


def report(group: str, cases: list[Case]) -> None:
    right = sum(case.right for case in cases)
    said = sum(finding.code != UNKNOWN for case in cases for finding in case.findings)
    beside = sum(len(case.beside) for case in cases)
    precision = 1 - beside / said if said else 1.0
    print(
        f"{group:12} {len(cases):4} logs   recall {right / len(cases):7.1%}"
        f"   precision {precision:7.1%}   ({said} findings)"
    )
    for case in cases:
        if not case.right or case.beside:
            print(f"    {case.name}: {[finding.code for finding in case.findings]}")


def write_long_log(path: Path) -> None:
    """A build log of ordinary steps with warnings, whose failure stands in the middle."""
    failure = (LOGS / "oom-kill" / "ninja-gxx.log").read_bytes()
    step = b"[%d/425] Building CUDA object vllm-flash-attn/CMakeFiles/_vllm_fa3_C.dir/x%d.cu.o\n"
    warning = b'csrc/x.cu(12): warning #177-D: variable "error" was declared but never referenced\n'
    with path.open("wb") as stream:
        number = 0
        while stream.tell() < MEGABYTES << 20:
            number += 1
            stream.write(step % (number, number))
            if number % 20 == 0:
                stream.write(warning)
            if number == FAILING_STEP:
                stream.write(failure)


def timed(path: Path) -> tuple[float, tuple[Finding, ...]]:
    started = time.perf_counter()
    with path.open("rb") as stream:
        findings = explain(log_lines(stream))
    return time.perf_counter() - started, findings


def measure_throughput() -> bool:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.log"
        write_long_log(path)
        size = path.stat().st_size / (1 << 20)
        runs = [timed(path) for _ in range(RUNS)]
    seconds, findings = min(runs, key=itemgetter(0))
    codes = [finding.code for finding in findings]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"throughput   {size:.0f} MB in {seconds:.2f} s ({size / seconds:.0f} MB/s),"
        f" peak {memory:.0f} MB of memory, findings {codes}"
    )
    return seconds <= SECONDS_ALLOWED and codes[:1] == ["oom-kill"]


def main() -> int:
    cases = [*development_cases(), *kept_cases(), *messages()]
    for group in ("development", "provoked", "public", "messages", "healthy"):
        report(group, [case for case in cases if case.group == group])
    report("all", cases)
    quick = measure_throughput()
    return 0 if quick and all(case.right for case in cases) else 1


if __name__ == "__main__":
    sys.exit(main())
