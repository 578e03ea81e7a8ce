"""`siamcorr download NAME`: download published weights to the user's cache."""

import argparse

from tqdm import tqdm

from siamcorr.models import cache_dir, download, load_preset


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser("download", help="download published weights")
    parser.add_argument("name", metavar="MODEL", help="see `siamcorr models`")
    parser.add_argument("--folder", metavar="DIR", help=f"default: {cache_dir()}")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Download with a progress bar, and print the path, the licence and the source."""
    preset = load_preset(args.name)
    with tqdm(unit="B", unit_scale=True, desc=preset.weights.file) as bar:

        def show(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)

        path = download(preset, args.folder, show)
    print(f"{path} ({preset.weights.licence}, from {preset.weights.page})")
    if not preset.weights.sha256:
        print("siamcorr: its SHA-256 is not known, so the file could not be verified")
    return 0
