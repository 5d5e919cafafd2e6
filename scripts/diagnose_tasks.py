"""Look into a trained TAT: do the tasks' gradients conflict, does the task representation tell the tasks apart?"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bundle.tat.cases.refusals import find_refusal
from bundle.tat.diagnosis.origin import find_origin, write_origin
from bundle.tat.diagnosis.samples import draw_samples, read_configs, read_loss, read_network
from bundle.tat.optional import exit_if_missing

with exit_if_missing("matplotlib", extra="report"):
    from bundle.tat.diagnosis.report import report_gradients, report_representations, report_training


def read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, epilog="What the files mean: docs/diagnosis.md.")
    parser.add_argument("--config_file", type=Path, nargs="+", required=True, help="training config and its overlays")
    parser.add_argument("--weights", type=Path, required=True, help="model.pt of the training with these configs")
    parser.add_argument("--checkpoint", type=Path, help="checkpoint.pt of that training, for its trained loss weights")
    parser.add_argument("--training_log", type=Path, help="default: training_log.csv beside --weights")
    parser.add_argument("--twin", type=Path, help="model.pt of a training to compare with")
    parser.add_argument("--twin_config", type=Path, nargs="+", default=[], help="its overlays, laid over --config_file")
    parser.add_argument("--datalist", type=Path, required=True, help="datalist whose section 'training' is drawn from")
    parser.add_argument("--out", type=Path, required=True, help="folder for tables and pictures")
    parser.add_argument("--n_batches", type=int, default=8, help="training batches to draw (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (default: %(default)s)")
    parser.add_argument("--measured", action="store_true", help="nothing was simulated: leave the note about it out")
    options = parser.parse_args(arguments)
    if options.twin_config and not options.twin:
        parser.error("--twin_config needs --twin")
    return options


def diagnose(options: argparse.Namespace) -> list[str]:
    """Write all files; returns what is worth a sentence."""
    more = {"datalist_file": str(options.datalist.absolute()), "seed": options.seed}
    parser = read_configs(options.config_file, **more)
    read = {"network": read_network(parser, options.weights)}
    if options.twin:
        read["twin"] = read_network(read_configs([*options.config_file, *options.twin_config], **more), options.twin)
    networks = {f"{name} {'without' if it.tren is None else 'with'} weight generation": it for name, it in read.items()}
    loss = read_loss(parser, options.checkpoint)
    samples = draw_samples(parser, options.n_batches)
    note = "" if options.measured else ", simulated degradations"
    scans = ", ".join(f"{n} {task}" for task, n in sorted(samples.n_scans.items()))
    data = f"{options.n_batches} training batches from {options.datalist.name} (scans: {scans}){note}"
    log = options.training_log or options.weights.with_name("training_log.csv")
    weights = dict(zip(networks, [options.weights, options.twin][: len(networks)], strict=True))
    origin = find_origin(Path(__file__).name, vars(options), weights)
    sentences = [
        *report_training(log, options.out, data=f"{log.name}{note}"),
        *report_gradients(networks, loss, samples, options.out, data=data, origin=origin),
        *report_representations(networks, samples, options.out, data=data, origin=origin),
    ]
    write_origin(origin, options.out)
    return sentences


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, write the files, say what stands out; a refusal is one line."""
    options = read_options(arguments)
    try:
        print(*diagnose(options), sep="\n")
    except Exception as error:
        refusal = find_refusal(error)
        if refusal is None:
            raise
        sys.exit(str(refusal))


if __name__ == "__main__":
    main()
