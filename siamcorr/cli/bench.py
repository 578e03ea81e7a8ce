"""`siamcorr bench`: time the operators against the F.conv2d code that trackers copy."""

import argparse
import dataclasses
import json
import sys
from importlib.util import find_spec
from pathlib import Path

import torch
from tqdm import tqdm

from siamcorr.bench import (
    fit_costs,
    full_cases,
    measure_limits,
    plot,
    quick_cases,
    run_case,
    table,
)
from siamcorr.cli.device import choose_device
from siamcorr.cli.validation import check_writable, use_threads

DTYPES = {name: getattr(torch, name) for name in ("float32", "float64", "bfloat16", "float16")}
COSTS = Path(__file__).resolve().parent.parent / "ops" / "costs.json"


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser("bench", help="measure the operators by every method")
    add = parser.add_argument
    add("--ops", default="naive,batched,depthwise", metavar="OP,OP", help="default: all")
    add("--device", default="cpu", metavar="auto|cpu|cuda[:N]")
    add("--dtype", choices=list(DTYPES), default="float32")
    add("--threads", type=int, metavar="N", help="CPU threads (default: torch's)")
    add("--quick", action="store_true", help="only the documented shapes, in less than a minute")
    add("--json", metavar="OUT.json", help="write all measurements")
    add("--plot", metavar="OUT.png", help="plot the speed-ups")
    add("--fit", action="store_true", help="instead, fit the planner's costs on this machine")
    add("--costs", metavar="FILE", default=str(COSTS), help="where --fit writes the costs")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure, print the table, and write the JSON file and the plot if requested."""
    ops = args.ops.split(",")
    unknown = sorted(set(ops) - {"naive", "batched", "depthwise"})
    if unknown:
        raise ValueError(f"--ops: unknown operator {', '.join(unknown)}")
    use_threads(args)
    chosen, dtype = choose_device(args.device), DTYPES[args.dtype]
    if chosen.index is not None:
        torch.cuda.set_device(chosen)
    device = chosen.type
    if args.fit:
        return _fit(dtype, device, Path(args.costs))
    if args.plot and find_spec("matplotlib") is None:
        raise ValueError("--plot needs matplotlib: pip install 'siamcorr[plot]'")
    for path in filter(None, (args.json, args.plot)):
        check_writable(path)  # fail before the measurement, which takes minutes
    cases = [case for case in (quick_cases if args.quick else full_cases)() if case.op in ops]
    limits = measure_limits(dtype, device)
    seconds = 0.6 if args.quick else 3.0
    rows = [run_case(case, limits, dtype, device, seconds) for case in tqdm(cases, unit=" rows")]
    print(f"{args.dtype} on {device}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    if sys.platform == "linux" and device == "cpu":
        print("freed memory is kept for the next call, for both siamcorr and the copied code")
    print(table(rows, limits))
    if args.json:
        content = {"limits": dataclasses.asdict(limits), "rows": [_as_dict(row) for row in rows]}
        Path(args.json).write_text(json.dumps(content, indent=1), encoding="utf-8")
    if args.plot:
        plot(rows, Path(args.plot))
    return 0


def _as_dict(row: object) -> dict[str, object]:
    values = dataclasses.asdict(row)  # type: ignore[call-overload]
    derived = "ratio", "behind_best", "flops"
    return {**values, **{name: getattr(row, name) for name in derived}}


def _fit(dtype: torch.dtype, device: str, path: Path) -> int:
    """Replace the costs of one device and dtype in the file."""
    costs = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    check_writable(path)  # fail before the measurement, which takes minutes
    prices = fit_costs(dtype, device, lambda line: print(line, file=sys.stderr))
    costs.setdefault(device, {})[str(dtype).removeprefix("torch.")] = prices
    path.write_text(json.dumps(costs, indent=1) + "\n", encoding="utf-8")
    print(f"costs for {dtype} on {device} written to {path}")
    return 0
