"""How an error reads: the fact, what is beneath it, and what to do."""

from dataclasses import dataclass

from vllm_forge.records.finding import Finding
from vllm_forge.records.problem import Problem


@dataclass(frozen=True, slots=True)
class ErrorDocument:
    """What stdout holds under --json when there is no other document to give."""

    status: str
    message: str
    causes: tuple[str, ...]
    hints: tuple[str, ...]
    exit_code: int
    log: str | None
    findings: tuple[Finding, ...]

    @classmethod
    def of(cls, problem: Problem, findings: tuple[Finding, ...]) -> "ErrorDocument":
        return cls(
            "error",
            problem.message,
            problem.causes,
            problem.hints,
            problem.exit_code,
            problem.log,
            findings,
        )


def render_problem(problem: Problem) -> str:
    r"""Plain text, one line each, ready for stderr.

    >>> render_problem(Problem("no index", causes=("refused",), hints=("check the proxy",)))
    'error: no index\n  cause: refused\nhint: check the proxy\n'
    """
    lines = [f"error: {problem.message}"]
    lines += [f"  cause: {cause}" for cause in problem.causes]
    lines += [f"hint: {hint}" for hint in problem.hints]
    return "\n".join(lines) + "\n"
