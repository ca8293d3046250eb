"""`./build.sh bench [NAME] [--json]`: every figure as a ratio against a reference of the same run.

A result is a dictionary: name, value, unit, better ("lower" or "higher"), reference {name, value}
or None, ratio (value / reference) or None, goal, met, runs, spread, pi4_estimate.
"""

import argparse
import json
import platform
import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

MODULES = (
    "bench_native",
    "bench_encode",
    "bench_import",
    "bench_seal",
    "bench_audit",
    "bench_policy",
    "bench_setup",
)
# Minutes long, and in need of a network namespace: only when asked for by name.
SLOW_MODULES = (
    "bench_tap",
    "bench_live",
    "bench_capture",
    "bench_sync",
    "bench_catalogue",
    "bench_storage",
)


def machine() -> str:
    """What these figures were measured on, in one line."""
    model = platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return f"{model}, Linux {platform.release()}, Python {platform.python_version()}"


def known(modules: Iterable[str]) -> dict[str, Callable[[], dict[str, Any]]]:
    """Every result of *modules*, by its exact name."""
    results: dict[str, Callable[[], dict[str, Any]]] = {}
    for module in modules:
        results.update(import_module(f"greffier_sim.{module}").RESULTS)
    return results


def line(result: dict[str, Any]) -> str:
    """One result for a person."""
    text = f"{result['name']:<22}{result['value']:>12.4g} {result['unit']:<16}"
    if result["reference"]:
        text += f"ratio {result['ratio']:.3f} to {result['reference']['name']}"
    if result["goal"] is not None:
        text += f"   goal {result['goal']} {'met' if result['met'] else 'NOT MET'}"
    if result.get("pi4_estimate"):
        text += f"   Pi 4: {result['pi4_estimate']}"
    return text


def main() -> int:
    """Run the asked results; 0 when every goal is met, 1 otherwise, 2 for an unknown name."""
    results = known((*MODULES, *SLOW_MODULES))
    parser = argparse.ArgumentParser(prog="./build.sh bench")
    parser.add_argument("name", nargs="?", help="one result, by its exact name")
    parser.add_argument("--json", action="store_true", dest="as_json")
    arguments = parser.parse_args()
    if arguments.name and arguments.name not in results:
        print(
            f"no result is called {arguments.name} — names: {', '.join(results)}", file=sys.stderr
        )
        return 2
    done = []
    for name in [arguments.name] if arguments.name else list(known(MODULES)):
        result = results[name]()
        done.append(result)
        print(line(result), file=sys.stderr if arguments.as_json else sys.stdout, flush=True)
    if arguments.as_json:
        print(json.dumps({"machine": machine(), "results": done}))
    return 0 if all(result["met"] is not False for result in done) else 1


if __name__ == "__main__":
    sys.exit(main())
