"""The verbs of ``tat`` and their words: what the help prints, and how the words are read."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final, NamedTuple

# What the help calls values that are taken as typed: paths, which are made absolute, and texts.
PATHS: Final = ("DIR", "FILE", "PATH")
TEXTS: Final = ("NAME", "TEXT", "ADDRESS", "ADDRESS,...", "AE", "AE,...", "HOST:PORT:AE")
# Ids of the configs that are paths, though no help names them for every verb.
PATH_IDS: Final = (
    *("bundle_root", "cache_dir", "ckpt_dir", "ckpt_path", "compare_to", "datalist_file", "dataset_dir"),
    *("output_dir", "pretrained"),
)


class Place(NamedTuple):
    """A word without ``--``, which is a path.

    Args:
        shown: what the help calls it.
        name: the option that it is the value of.
        says: what it is.
        is_optional: whether it may be left out.
    """

    shown: str
    name: str
    says: str
    is_optional: bool = False


class Option(NamedTuple):
    """A word with ``--``.

    Args:
        name: its name; an id of the configs, or of the verb's own.
        value: what the help calls its value: one of ``PATHS`` or ``TEXTS`` for those, empty for a switch.
        says: what it is for, one sentence.
    """

    name: str
    value: str
    says: str


class Verb(NamedTuple):
    """What ``tat`` can do.

    Args:
        says: one line about it.
        places: words without ``--``, in their order.
        options: words with ``--`` that the help names.
        text: the end of its help.
        takes_ids: whether every id of the configs is an option too.
    """

    says: str
    places: tuple[Place, ...] = ()
    options: tuple[Option, ...] = ()
    text: str = ""
    takes_ids: bool = False


_SCANS: Final = (
    "the file of a scan, a folder of scans or DICOM series at any depth, a BIDS data set, or a datalist JSON"
)
_ALL_IDS: Final = (
    "Every other id of {} is set in the same way, as --id value. docs/reference/config-ids.md lists them all."
)

_AMP: Final = Option("amp", "", "compute products in half precision: faster and less exact")
_DATA: Final = Option(
    "data", "DIR", "folder of the scans, with a datalist.json unless --layout is given (default: data/)"
)
_DEVICE: Final = Option("device", "cpu|cuda:0", "where the network runs (default: the first GPU, else the CPU)")
_FULL: Final = Option("full", "", "the paper's network of 41.7 million parameters instead of the small one")
_LAYOUT: Final = Option(
    "layout", "NAME", "layout of the data folder: folders, ixi, aapm, reference or clean (docs/how-to/data.md)"
)
_MEASURED: Final = Option("measured", "", "the scans are measured: leave out the note that they are simulated")
_MODALITY: Final = Option("modality", "CT|MRI|PET", "modality of scans whose files do not name it (DICOM does)")
_MRI_SCALES: Final = "how MRI is scaled: by a percentile to the training scale, or not at all, on [0, 4095]"
_PET_PLANES: Final = Option(
    "pet_planes", "True|False", "restore PET in its three planes and average, in three times the time (default: True)"
)
_MRI_SCALE: Final = Option(
    "mri_scale",
    "percentile|fixed",
    f"{_MRI_SCALES} (default: fixed)",
)
_SECTION: Final = Option("section", "NAME", "the section of a datalist JSON (default: testing)")
_VERBOSE: Final = Option("verbose", "", "print all log lines of MONAI and Ignite")
_WEIGHTS: Final = Option("ckpt_path", "FILE", "weights to use instead of the shipped ones")

_WORKERS: Final = "slices that a CPU restores at once, one thread each (default: the number of its cores)"

VERBS: Final = MappingProxyType(
    {
        "restore": Verb(
            "restore a scan, a folder of scans, a DICOM series or a study",
            (
                Place("IN", "dataset_dir", _SCANS),
                Place("OUT", "output_dir", "folder of the results: each is a file or a DICOM series in OUT/<name>/"),
            ),
            (
                _MODALITY,
                Option("mri_scale", "percentile|fixed", f"{_MRI_SCALES} (default: percentile)"),
                Option(
                    "pet_scale",
                    "NUMBER",
                    "factor from the unit of a PET file to SUV (default: 1); not for DICOM or where the sidecar names "
                    "the unit",
                ),
                Option(
                    "mri_upsample", "FACTOR|MM", "restore MRI on a finer grid: a factor (2) or a pixel size (0.5mm)"
                ),
                Option("strength", "0..1", "weight of the restored image; the rest is the input scan (default: 1)"),
                Option("any_resolution", "", "also restore MRI of a resolution that the weights were not trained on"),
                Option(
                    "slice_axis", "0|1|2|-1", "array axis that the slices are stacked along (default: -1, the last)"
                ),
                _PET_PLANES,
                Option("workers", "N", _WORKERS),
                Option(
                    "slice_batch_size", "N", "slices that a GPU restores at once (default: 4); 1 needs least memory"
                ),
                _DEVICE,
                _WEIGHTS,
                Option(
                    "dicom",
                    "source|classic",
                    "write DICOM of the kind of the input, or Enhanced objects as classic slices (default: source)",
                ),
                Option("nifti", "", "also write NIfTI beside a DICOM series"),
                Option("report", "none|brief|thorough", "how much OUT/report.html says of each scan (default: brief)"),
                Option("refuse_doubtful", "", "refuse a scan with the verdict: do not use"),
                Option("overwrite", "", "restore again what an earlier run has finished"),
                _VERBOSE,
            ),
            "A table at the end gives the status of each scan. A scan that cannot be restored safely is refused in one "
            "line, and the others go on. The exit code is 0 if none was refused, else 1. The same command again "
            "restores only what is missing.\n\n" + _ALL_IDS.format("configs/inference.json"),
            takes_ids=True,
        ),
        "report": Verb(
            "write the quality report again from the records of tat restore",
            (Place("OUT", "output_dir", "folder that tat restore wrote to"),),
            (_WEIGHTS,),
            "It reads the records in OUT and writes OUT/report.html. Nothing is restored or measured again: it needs "
            "neither the scans nor the network. docs/concepts/quality.md explains the page.",
        ),
        "info": Verb(
            "say what a file or folder holds, and what would be restored, refused or skipped",
            (Place("IN", "dataset_dir", _SCANS),),
            (
                _MODALITY,
                _SECTION,
                Option("deep", "", "also read the voxels, and run the checks that come before the network"),
                Option("json", "", "print JSON for programs"),
            ),
            "It needs no network and no weights, and prints nothing about a patient. Without --deep, only headers are "
            "read. With it, the ids of tat restore that change what is refused may also be given, such as "
            "--any_resolution. The exit code is 0 even if scans would be refused.",
            takes_ids=True,
        ),
        "train": Verb(
            "train the network on pairs of scans",
            (),
            (
                _DATA,
                _LAYOUT,
                _FULL,
                Option("ckpt_dir", "DIR", "folder for model.pt and checkpoint.pt (default: runs/)"),
                Option("pretrained", "FILE", "weights to start from"),
                Option("tasks", "CT,MRI,PET", "the tasks to train (default: all)"),
                _MRI_SCALE,
                Option("epochs", "N", "number of epochs, of epoch_length steps each"),
                Option("n_per_task", "N", "samples of each task in a step"),
                Option("learning_rate", "NUMBER", "learning rate at the start; a cosine schedule lowers it"),
                Option("num_workers", "N", "processes that load data (default: 0)"),
                _DEVICE,
                _AMP,
                _VERBOSE,
            ),
            "The small network is trained as the shipped weights' first stage was, the paper's by the paper's recipe. "
            "The same command continues a training that was stopped. Default folders are those of the bundle.\n\n"
            + _ALL_IDS.format("configs/train.json and its overlays"),
            takes_ids=True,
        ),
        "evaluate": Verb(
            "score weights on the test section of a datalist",
            (),
            (
                _DATA,
                _LAYOUT,
                Option("small", "", "the small network, which is the default"),
                _FULL,
                _WEIGHTS,
                Option("output_dir", "DIR", "folder for the tables and the summary (default: eval/)"),
                Option("baselines", "NAMES", "filters to compare with, such as gaussian,bilateral (default: gaussian)"),
                Option("compare_to", "FILE", "slices.csv of an earlier evaluation"),
                _MRI_SCALE,
                _PET_PLANES,
                _SECTION,
                _DEVICE,
                _VERBOSE,
            ),
            "docs/concepts/evaluation.md explains the tables. Default folders are those of the bundle.\n\n"
            + _ALL_IDS.format("configs/evaluate.json and configs/train.json"),
            takes_ids=True,
        ),
        "score": Verb(
            "score restored files against their clean images",
            (
                Place("DATALIST", "datalist", "JSON datalist with clean images"),
                Place("RESTORED", "restored", "folder that tat restore wrote to"),
                Place("TABLE", "table", "CSV file to write"),
            ),
            (_SECTION, _MRI_SCALE),
            "Beside them, the input itself and the best plain Gaussian filter are scored.",
        ),
        "compare": Verb(
            "compare two evaluations of the same slices",
            (
                Place("A", "first", "slices.csv of one evaluation"),
                Place("B", "second", "slices.csv of the evaluation to subtract"),
            ),
            (Option("seed", "N", "seed of the bootstrap (default: 0)"),),
            "It prints the mean difference, the bootstrap interval and the Wilcoxon test of each task. "
            "docs/concepts/evaluation.md explains them.",
        ),
        "draw": Verb(
            "draw the middle slice of every restored scan",
            (
                Place("RESTORED", "restored", "folder that tat restore wrote to"),
                Place("OUT", "out", "folder for the pictures, one PNG for each scan"),
            ),
            (
                Option("datalist", "FILE", "JSON datalist with clean images; this or --scan is needed"),
                Option("scan", "PATH", "input of tat restore, for scans without a clean image"),
                _SECTION,
                _MODALITY,
                _MRI_SCALE,
                Option("note", "TEXT", "line below the title of the pictures of --scan"),
                _MEASURED,
            ),
        ),
        "diagnose": Verb(
            "examine a trained network: its tasks' gradients and its task representation",
            (
                Place("WEIGHTS", "weights", "model.pt of a training"),
                Place("DATALIST", "datalist", "JSON datalist; batches are drawn from its section training"),
                Place("OUT", "out", "folder for tables and pictures"),
            ),
            (
                _FULL,
                _LAYOUT,
                Option("config_file", "FILES", "configs of the training, if they are not those of tat train"),
                Option("checkpoint", "FILE", "checkpoint.pt of the training, for its trained loss weights"),
                Option("training_log", "FILE", "training_log.csv of the training (default: the one beside WEIGHTS)"),
                Option("twin", "FILE", "model.pt of another training to compare with"),
                Option("twin_config", "FILES", "configs of that training, merged over those of the first"),
                Option("n_batches", "N", "training batches to draw (default: 8)"),
                Option("n_patches", "N", "patches of each subject to degrade in every way (default: 4; 0 for none)"),
                Option("seed", "N", "seed of the draw (default: 0)"),
                _MRI_SCALE,
                _MEASURED,
            ),
            "docs/how-to/diagnosis.md explains the files.",
        ),
        "export": Verb(
            "write the network as TorchScript, ONNX and torch.export files",
            (Place("OUT", "out", "folder for the files", is_optional=True),),
            (
                Option("formats", "ts,onnx,pt2", "which files (default: all)"),
                Option("config_file", "FILE", "config with the network_def (default: configs/inference.json)"),
                _WEIGHTS,
            ),
            "The output of each file is compared with that of the network before the file is put in OUT. The default "
            "of OUT is build/export/ of the bundle. docs/how-to/exports.md says what each file is for.",
        ),
        "serve": Verb(
            "run a DICOM node, which receives series, restores them and sends the derived series on",
            (),
            (
                Option("send_to", "HOST:PORT:AE", "the archive that receives the derived series; required"),
                Option("ae_title", "AE", "AE title of the node, which callers must use (default: TAT)"),
                Option("port", "N", "TCP port to listen on (default: 11112)"),
                Option("bind", "ADDRESS", "IP address to listen on (default: 127.0.0.1, this computer only)"),
                Option("allow_ae", "AE,...", "AE titles of accepted callers; required with any other --bind"),
                Option(
                    "allow_address",
                    "ADDRESS,...",
                    "IP addresses or networks of accepted callers (192.0.2.0/24); required with any other --bind",
                ),
                Option("tls_cert", "FILE", "certificate of the node in PEM: TLS in both directions"),
                Option("tls_key", "FILE", "private key of that certificate, without a passphrase"),
                Option("tls_ca", "FILE", "certificates of the authority that signs those of callers and archive"),
                Option(
                    "folder",
                    "DIR",
                    "folder of the queue and the scans (default: $STATE_DIRECTORY, else ~/.local/state/tat-node)",
                ),
                Option("quiet", "SECONDS", "a series is complete when none of it arrived for this time (default: 10)"),
                Option(
                    "keep",
                    "DAYS",
                    "how long a series stays on the disk when it is done (default: 7); an incomplete, refused or "
                    "failed one stays a day at least",
                ),
                Option("min_free", "MB", "free disk space below which objects are refused (default: 2000)"),
                Option("max_associations", "N", "most associations at a time (default: 8)"),
                Option("max_pdu", "BYTES", "largest protocol data unit (default: 65536)"),
                Option("max_instance", "MB", "largest object (default: 512)"),
                Option("max_series", "MB", "largest series (default: 4000)"),
                Option("metrics_file", "FILE", "file for counters in the text format of Prometheus, every 15 seconds"),
                Option("status", "", "print the queue and exit; a node may be running"),
                Option("retry", "JOB", "put an incomplete, refused or failed job back into the queue, and exit"),
                Option("once", "", "exit when all received series are done, refused, incomplete or failed"),
                Option("workers", "N", _WORKERS),
                _DEVICE,
                _WEIGHTS,
            ),
            "It needs pip install '.[node]'. Series are restored one after the other, as by tat restore. The queue is "
            "on the disk and survives kill -9. An incomplete series waits until its sender sends the rest. The log "
            "names jobs by their numbers and nothing about a patient. docs/how-to/node.md explains how to run the "
            "node as a service.\n\n" + _ALL_IDS.format("configs/inference.json"),
            takes_ids=True,
        ),
        "version": Verb("print the versions of the bundle, of Python and of the main packages"),
    }
)
