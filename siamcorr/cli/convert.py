"""`siamcorr convert IN.pth OUT.safetensors`: write a published checkpoint as safetensors."""

import argparse

from siamcorr.models import convert, preset_names, read_checkpoint


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser("convert", help="turn a .pth checkpoint into .safetensors")
    parser.add_argument("source", metavar="IN", help="a .pth or .safetensors file")
    parser.add_argument("destination", metavar="OUT", help="the .safetensors file to write")
    parser.add_argument("--model", choices=preset_names(), help="default: the preset that fits")
    parser.add_argument("--half", action="store_true", help="store float16: half the size")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Convert, then print the dropped keys and what was written."""
    dropped = convert(args.source, args.destination, args.model, args.half)
    for key in dropped:
        print(f"dropped {key} (never called by the network)")
    written = read_checkpoint(args.destination)
    count = sum(value.numel() for value in written.state_dict.values())
    print(f"{args.destination}: {len(written.state_dict)} tensors, {count} numbers")
    for key, value in sorted(written.metadata.items()):
        print(f"  {key}: {value}")
    return 0
