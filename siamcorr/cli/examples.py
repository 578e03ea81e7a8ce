"""Two examples per command, for its --help."""

EXAMPLES: dict[str, tuple[str, ...]] = {
    "track": (
        "siamcorr track VIDEO --box 291,124,151,165 --output tracked.mp4 --boxes tracked.csv",
        "siamcorr track 0 --model nanotrack-v2",
    ),
    "models": ("siamcorr models", "siamcorr models | less"),
    "download": (
        "siamcorr download nanotrack-v2",
        "siamcorr download siamfc-alexnet --folder weights",
    ),
    "convert": (
        "siamcorr convert nanotrackv2.pth nanotrack-v2.safetensors",
        "siamcorr convert model.pth small.safetensors --model siamrpnpp-alexnet --half",
    ),
    "export": (
        "siamcorr export nanotrack-v2 nano.onnx",
        "siamcorr export siamcorr-lite lite.onnx --opset 13 --dynamic-batch",
    ),
    "summary": ("siamcorr summary nanotrack-v2", "siamcorr summary sep_conv_3x3 --channels 96"),
    "profile": ("siamcorr profile siamcorr-lite", "siamcorr profile nanotrack-v2 --targets 8 32"),
    "bench": ("siamcorr bench --quick", "siamcorr bench --device cuda --json figures.json"),
    "train": (
        "siamcorr train configs/train/siamcorr-lite-1.toml",
        "siamcorr train run.toml --max-epochs 1 --set batch=16",
    ),
    "tune": (
        "siamcorr tune nanotrack-v2 --data sequences --processes 2",
        "siamcorr tune siamcorr-lite --data sequences --trials 100 --output output/lite",
    ),
    "eval": (
        "siamcorr eval siamcorr-lite opencv:csrt --data sequences",
        "siamcorr eval nanotrack-v2=weights.pth --data GOT-10k/val --failures",
    ),
    "annotate": (
        "siamcorr annotate VIDEO --every 10",
        "siamcorr annotate VIDEO --follow siamcorr-lite --output sequences",
    ),
    "web": ("siamcorr web", "siamcorr web --host 0.0.0.0 --port 8080 --device cuda"),
}


def epilog(command: str) -> str:
    """Return the examples of a command; --help shows them below the options."""
    return "\n  ".join(("examples:", *EXAMPLES[command]))
