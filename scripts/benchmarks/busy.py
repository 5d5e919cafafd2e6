"""Time of restoring slices on this computer's CPU while other programs compute, for this build and for another one.

Builds take turns within each repetition, so both run under the same load. A figure is a median, with its range. The
other build is a work tree of the same repository:

    git worktree add ../base COMMIT
    python -m scripts.benchmarks.busy --base ../base
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np

from bundle.tat.atomic import write_json
from scripts.benchmarks.documents import ROOT

CASE: Final = Path(__file__).with_name("busy_case.py")
# A program with one thread that multiplies matrices, as simulations and other networks do.
COMPUTING: Final = "import numpy as np\na = np.random.rand(512, 512)\nwhile True: a @ a"
ONE_THREAD: Final = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
# Limits the instructions of PyTorch's own kernels, of oneDNN and of MKL to those of AVX2.
AVX2: Final = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}

Figures = dict[str, float]


def processor() -> str:
    """Name of the processor, and the number of cores that this process may use."""
    named = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    name = named[0].split(":", 1)[1].strip() if named else platform.machine()
    return f"{name}, {len(os.sched_getaffinity(0))} cores"


@contextmanager
def computing(n_programs: int) -> Iterator[None]:
    """Run other computing programs as long as the block runs."""
    programs = [
        subprocess.Popen([sys.executable, "-c", COMPUTING], env=os.environ | ONE_THREAD) for _ in range(n_programs)
    ]
    try:
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait()


def run(build: Path, restored: Path, options: argparse.Namespace, settings: Mapping[str, object]) -> Figures:
    """Seconds, CPU seconds and memory of one run of a build.

    Raises:
        subprocess.CalledProcessError: the build could not restore the slices.
    """
    command = [sys.executable, str(CASE), "--n_slices", str(options.n_slices), "--size", str(options.size)]
    command += ["--restored", str(restored), "--settings", json.dumps(dict(settings))]
    environment = os.environ | {"PYTHONPATH": str(build)} | (AVX2 if options.avx2 else {})
    done = subprocess.run(command, cwd=build, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    figures: Figures = json.loads(done.stdout)
    return figures


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure each build beside each number of other programs; print the table and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, help="work tree of the other build (default: this build with --workers 1)")
    parser.add_argument(
        "--busy", type=int, nargs="+", default=[0, 2, 4], help="numbers of other computing programs (default: 0 2 4)"
    )
    parser.add_argument("--n_slices", type=int, default=16, help="slices to restore (default: %(default)s)")
    parser.add_argument("--size", type=int, default=256, help="side of a slice in pixels (default: %(default)s)")
    parser.add_argument("--repetitions", type=int, default=5, help="runs of each build (default: %(default)s)")
    parser.add_argument("--avx2", action="store_true", help="use no instructions newer than AVX2")
    parser.add_argument("--out", type=Path, default=Path("eval/speed_busy.json"), help="default: %(default)s")
    options = parser.parse_args(arguments)
    base, settings = (options.base.resolve(), {}) if options.base else (ROOT, {"workers": 1})
    builds: dict[str, tuple[Path, dict[str, object]]] = {"base": (base, settings), "this": (ROOT, {})}
    rows = []
    print(f"{processor()}{', AVX2' if options.avx2 else ''}; {options.n_slices} slices of {options.size}\n")
    with tempfile.TemporaryDirectory() as folder:
        restored = {name: Path(folder) / f"{name}.npy" for name in builds}
        for n_programs in options.busy:
            runs: dict[str, list[Figures]] = {name: [] for name in builds}
            with computing(n_programs):
                for name in list(builds) * options.repetitions:
                    build, settings = builds[name]
                    runs[name].append(run(build, restored[name], options, settings))
            of_base, of_this = (np.load(restored[name]) for name in builds)
            row: dict[str, object] = {"n_programs": n_programs}
            for figure in runs["this"][0]:
                each = {name: [one[figure] for one in runs[name]] for name in builds}
                row[figure] = {name: [median(values), min(values), max(values)] for name, values in each.items()}
                row[f"{figure}_ratio"] = median(each["this"]) / median(each["base"])
            row["largest_difference"] = float(np.abs(of_this - of_base).max() / of_base.std())
            rows.append(row)
            print(json.dumps(row), flush=True)
            write_json(
                options.out,
                {
                    "processor": processor(),
                    "avx2": options.avx2,
                    "n_slices": options.n_slices,
                    "size": options.size,
                    "repetitions": options.repetitions,
                    "rows": rows,
                },
            )


if __name__ == "__main__":
    main()
