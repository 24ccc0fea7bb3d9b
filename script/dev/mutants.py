"""`script/mutants [MODULE …]`: changes the pure modules in every small way (mutmut) and asks
whether a test notices. Not part of the gate.

Only tests that need no database are asked, so that a mutant costs a quarter of a second. How mutmut
3.8 is made to live here:

- Its environment is its own (`var/mutants/venv`), pinned in `script/mutants.txt`, and sees the
  packages of `.venv` by a path file.
- It wants a project of its own shape: each module gets a folder of links to the apps, with a
  pyproject.toml that names what is mutated and
  by which tests it is judged. mutmut puts the apps' mutated copy below, and bars the original from
  `sys.path`.
- Mutants are forked from a server that has collected the tests and run none. mutmut's usual parent
  has run them all, so that what the
  calendar keeps in `lru_cache` would hide every mutant behind it.
- The tests that judge are written by hand and quick. Random ones stay out: the same mutants survive
  in every run.

It changes what stands in functions and methods. Tables, and functions with a decorator (properties,
what is cached), it leaves alone.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import environment
import servers
from environment import ROOT, VENV, fail, say

APPS = (
    "accounts",
    "approvals",
    "audit",
    "changemgmt",
    "implementation",
    "language",
    "notifications",
    "proposals",
    "reports",
    "requests",
    "web",
    "windows",
)
BESIDES = ("tests", "templates", "static", "docs")
LEAST_KILLED, MOST_EQUIVALENT = 0.95, 0.02  # of those that change something; of all
PROCESSES = "2"
PINNED, EQUIVALENT = ROOT / "script" / "mutants.txt", ROOT / "script" / "mutants.equivalent"
KILLED = {1, 3}  # pytest: a test failed, or fell over
TIMED_OUT = {24, -24, 36, 152, 255}  # a mutant that never ends is noticed, too
NAMES = {0: "survived", 5: "no test", 33: "no test", None: "not tried"}


@dataclass(frozen=True)
class Judged:
    """A module, the tests without a database that judge it, and the functions of it that ask the
    database and are left to other tests.
    """

    tests: tuple[str, ...]
    asking: frozenset[str] = frozenset()


MODULES = {
    "approvals.policy.policy": Judged(("approvals/policy/test_policy_limits.py",)),
    "approvals.policy.check": Judged(("approvals/policy/test_check_limits.py",)),
    "approvals.policy.quorum": Judged(("approvals/policy/test_quorum_limits.py",)),
    "audit.words": Judged(("audit/test_words_values.py",)),
    "implementation.evidence.checklist": Judged(
        ("implementation/evidence/test_checklist_lines.py",)
    ),
    "implementation.matrix": Judged(("implementation/run/test_matrix_bands.py",)),
    "reports.formats": Judged(
        ("reports/test_formats_values.py",), asking=frozenset({"visible", "_seen"})
    ),
    "reports.metrics": Judged(("reports/test_metrics_limits.py",)),
    "requests.content": Judged(("requests/test_content_limits.py",)),
    "requests.risk": Judged(("requests/test_risk_limits.py",)),
    "windows.calendar.verdict": Judged(("windows/calendar/test_calendar_limits.py",)),
    "windows.calendar.grammar": Judged(("windows/calendar/test_grammar_limits.py",)),
    "windows.calendar.recurrence": Judged(("windows/calendar/test_recurrence_limits.py",)),
}


@dataclass(frozen=True)
class Result:
    """What became of one module's mutants: name → mutmut's exit code."""

    codes: Mapping[str, int | None]

    @property
    def surviving(self) -> dict[str, str]:
        """Name → what it is called, of every mutant that no test noticed."""
        return {
            name: NAMES.get(code, f"code {code}")
            for name, code in self.codes.items()
            if code not in KILLED | TIMED_OUT
        }

    @property
    def killed(self) -> int:
        return len(self.codes) - len(self.surviving)


def run(words: list[str], var: Path) -> int:
    """The figures of each module; 1 if too few mutants are killed, or one survives that is not
    known to change nothing.
    """
    named = [word.removesuffix(".py").replace("/", ".") for word in words] or list(MODULES)
    if unknown := [name for name in named if name not in MODULES]:
        fail(f"{', '.join(unknown)} is not judged by mutants; there are: {', '.join(MODULES)}.")
    home = var / "mutants"
    equivalent, mutmut = _equivalent(), _ensure_mutmut(home)
    results: dict[str, Result] = {}
    for name in named:
        started = time.monotonic()
        results[name] = _try(name, MODULES[name], home, mutmut)
        say(f"{name}: {time.monotonic() - started:.0f} s")
    wrong = _wrong(results, equivalent)
    print(
        f"{'module':26}{'mutants':>8}{'killed':>8}{'survived':>10}"
        f"{'of which equivalent':>21}{'killed, %':>11}"
    )
    for name, found in results.items():
        total, survived = len(found.codes), found.surviving.keys()
        print(
            f"{name:26}{total:8}{found.killed:8}{len(survived):10}"
            f"{len(survived & equivalent.keys()):21}{100 * found.killed / total:11.1f}"
        )
    for text in wrong:
        print(text, file=sys.stderr)
    return 1 if wrong else 0


def _wrong(results: Mapping[str, Result], equivalent: Mapping[str, str]) -> list[str]:
    """Everything that keeps the run from being good."""
    found = []
    for name, result in results.items():
        excused = result.surviving.keys() & equivalent.keys()
        if result.killed < LEAST_KILLED * (len(result.codes) - len(excused)):
            found.append(f"{name}: fewer than {LEAST_KILLED:.0%} of its mutants are killed.")
        found += [
            f"{mutant}: {what}."
            for mutant, what in result.surviving.items()
            if mutant not in equivalent
        ]
        listed = [mutant for mutant in equivalent if mutant.startswith(f"{name}.x")]
        found += [
            f"{mutant} is listed in {EQUIVALENT.name}, but does not survive."
            for mutant in listed
            if mutant not in result.surviving
        ]
    total = sum(len(result.codes) for result in results.values())
    if results.keys() == MODULES.keys() and len(equivalent) > MOST_EQUIVALENT * total:
        found.append(
            f"{len(equivalent)} of {total} mutants are called equivalent; at most"
            f" {MOST_EQUIVALENT:.0%} may be."
        )
    return found


def _equivalent() -> dict[str, str]:
    """Mutant → why it changes nothing that anybody could see."""
    lines = [
        line
        for line in EQUIVALENT.read_text().splitlines()
        if line.strip() and not line.startswith("#")
    ]
    found = {name.strip(): why.strip() for name, _, why in (line.partition(": ") for line in lines)}
    if unsaid := [
        name for name, why in found.items() if not why or name.partition(".x")[0] not in MODULES
    ]:
        fail(
            f"{EQUIVALENT.name}: {', '.join(unsaid)}: give the whole name of a judged module's"
            " mutant, a colon, and why it changes nothing."
        )
    return found


def _ensure_mutmut(home: Path) -> Path:
    folder = home / "venv"
    stamp, fresh = (
        folder / "changemgmt.stamp",
        environment.fingerprint(PINNED, sys.version, str(VENV)),
    )
    if not (stamp.exists() and stamp.read_text() == fresh):
        say("Installing mutmut (first time)")
        venv.create(folder, clear=True, with_pip=True)
        python = f"python{sys.version_info.major}.{sys.version_info.minor}"
        (folder / "lib" / python / "site-packages" / "changemgmt.pth").write_text(
            f"{VENV / 'lib' / python / 'site-packages'}\n"
        )
        command = [
            str(folder / "bin" / "python"),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--require-hashes",
            "-r",
        ]
        done = subprocess.run([*command, str(PINNED)], capture_output=True, text=True)
        if done.returncode:
            fail(
                f"pip could not install {PINNED}. Is the package index"
                f" reachable?\n{done.stderr[-2000:]}"
            )
        stamp.write_text(fresh)
    return folder / "bin" / "mutmut"


def _project(name: str, judged: Judged, folder: Path) -> str:
    """Lay out the folder that mutmut takes for the project; the path of the module in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for part in (*APPS, *BESIDES):
        (folder / part).symlink_to(ROOT / part)
    path = f"{name.replace('.', '/')}.py"
    settings = {
        "source_paths": list(APPS),
        "only_mutate": [path],
        "also_copy": [part for part in BESIDES if part != "tests"],
        "pytest_add_cli_args": ["-p", "no:cacheprovider"],
        "pytest_add_cli_args_test_selection": [f"tests/{test}" for test in judged.tests],
        "process_isolation": "forkserver",
        "timeout_multiplier": 10.0,
        "use_git_change_detection": False,
        "track_dependencies": False,
    }
    table = "\n".join(
        f"{key} = {json.dumps(value)}" for key, value in settings.items()
    )  # TOML writes these as JSON does
    (folder / "pyproject.toml").write_text(
        f"{(ROOT / 'pyproject.toml').read_text()}\n[tool.mutmut]\n{table}\n"
    )
    return path


def _try(name: str, judged: Judged, home: Path, mutmut: Path) -> Result:
    folder = home / name
    path = _project(name, judged, folder)
    env = {
        **{
            key: value
            for key, value in os.environ.items()
            if key not in ("CI", "FAULTS", "PYTHONPATH")
        },
        "DJANGO_SETTINGS_MODULE": "mutants_settings",
        "DATABASE_URL": "postgresql:///none",
        "PYTHONPATH": str(ROOT / "script" / "dev"),
        "PYTHONHASHSEED": "0",  # sets in the same order, too
    }
    log = home / f"{name}.log"
    with log.open("wb") as out:
        command = [str(mutmut), "run", "--max-children", PROCESSES]
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=env,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        failed = process.wait()
    finally:
        servers.stop(process)  # with its forks, also when we are stopped
    if failed:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
        fail(f"mutmut could not judge {name}; the end of {log}:\n{tail}")
    codes: dict[str, int | None] = json.loads((folder / "mutants" / f"{path}.meta").read_text())[
        "exit_code_by_key"
    ]
    return Result(
        {mutant: code for mutant, code in codes.items() if not _asks(mutant, judged.asking)}
    )


def _asks(mutant: str, asking: Collection[str]) -> bool:
    """Whether the mutant stands in one of these functions: `reports.formats.x_visible__mutmut_3` in
    `visible`.
    """
    return mutant.rpartition(".")[2].removeprefix("x_").partition("__mutmut_")[0] in asking
