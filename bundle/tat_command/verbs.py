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
        value: what the help calls its value; nothing for a switch, one of ``PATHS`` or ``TEXTS`` for those.
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
_DATA: Final = Option("data", "DIR", "folder of the scans, with a datalist.json unless --layout is given (data/)")
_DEVICE: Final = Option("device", "cpu|cuda:0", "where the network runs (a GPU, if there is one)")
_FULL: Final = Option("full", "", "the paper's network of 41.7 million parameters instead of the small one")
_LAYOUT: Final = Option(
    "layout", "NAME", "how it is laid out: folders, ixi, aapm, reference or clean (docs/how-to/data.md)"
)
_MEASURED: Final = Option("measured", "", "the scans are measured: leave out the note that they are simulated")
_MODALITY: Final = Option("modality", "CT|MRI|PET", "what the scans are, for files that do not tell; DICOM does")
_MRI_SCALE: Final = Option(
    "mri_scale", "percentile|fixed", "bring MRI to the scale of training, or take it as it is, on [0, 4095] (fixed)"
)
_SECTION: Final = Option("section", "NAME", "the section of a datalist JSON (testing)")
_VERBOSE: Final = Option("verbose", "", "print all that MONAI and Ignite log")
_WEIGHTS: Final = Option("ckpt_path", "FILE", "other weights than the shipped ones")

VERBS: Final = MappingProxyType(
    {
        "restore": Verb(
            "restore a scan, a folder of scans, a DICOM series or a study",
            (
                Place("IN", "dataset_dir", _SCANS),
                Place("OUT", "output_dir", "folder of the results: a file or a DICOM series in OUT/<name>/ each"),
            ),
            (
                _MODALITY,
                Option("mri_scale", "percentile|fixed", "how MRI is brought to the scale of training (percentile)"),
                Option(
                    "pet_scale",
                    "NUMBER",
                    "factor that brings PET to SUV (1); not for DICOM, nor where a sidecar tells",
                ),
                Option("mri_upsample", "FACTOR|MM", "restore MRI on a finer grid: 2, or pixels of 0.5mm"),
                Option("strength", "0..1", "share of the restoration that is taken, the rest is the scan (1)"),
                Option("any_resolution", "", "restore MRI of a resolution that the weights do not know, too"),
                Option("slice_axis", "0|1|2|-1", "array axis that the slices are stacked along (-1, the last)"),
                Option("workers", "N", "slices that a CPU restores at once, one thread each (as many as it has cores)"),
                Option("slice_batch_size", "N", "slices that go through a GPU at a time (4); 1 takes least memory"),
                _DEVICE,
                _WEIGHTS,
                Option("dicom", "source|classic", "DICOM as it came (source), or Enhanced objects as classic slices"),
                Option("nifti", "", "write NIfTI beside a DICOM series too"),
                Option("report", "none|brief|thorough", "write OUT/report.html: when to believe which scan (brief)"),
                Option("refuse_doubtful", "", "refuse a scan whose verdict is: do not use"),
                Option("overwrite", "", "restore again what an earlier run has finished"),
                _VERBOSE,
            ),
            "A table at the end says what became of each scan. A scan that cannot be restored safely is refused in one "
            "line, and the others go on. The exit code is 0 if none was refused, else 1. The same command again does "
            "only what is missing.\n\n" + _ALL_IDS.format("configs/inference.json"),
            takes_ids=True,
        ),
        "report": Verb(
            "write the quality report anew from what tat restore left",
            (Place("OUT", "output_dir", "folder that tat restore wrote to"),),
            (_WEIGHTS,),
            "It reads the records in OUT and writes OUT/report.html. Nothing is restored or measured again: it needs "
            "neither the scans nor the network. What the page means: docs/concepts/quality.md.",
        ),
        "info": Verb(
            "say what a file or folder holds, and what would be restored, refused or skipped",
            (Place("IN", "dataset_dir", _SCANS),),
            (
                _MODALITY,
                _SECTION,
                Option("deep", "", "read the voxels too, and run the checks that come before the network"),
                Option("json", "", "print JSON for programs"),
            ),
            "It needs no network and no weights, and prints nothing about a patient. Without --deep, only headers are "
            "read. With it, the ids of tat restore that change what is refused may be given too, such as "
            "--any_resolution. The exit code is 0 also where scans would be refused.",
            takes_ids=True,
        ),
        "train": Verb(
            "train the network on pairs of scans",
            (),
            (
                _DATA,
                _LAYOUT,
                _FULL,
                Option("ckpt_dir", "DIR", "folder for model.pt and checkpoint.pt (runs/)"),
                Option("pretrained", "FILE", "weights to start from"),
                Option("tasks", "CT,MRI,PET", "the tasks to train (all)"),
                _MRI_SCALE,
                Option("epochs", "N", "number of epochs, of epoch_length steps each"),
                Option("n_per_task", "N", "samples of each task in a step"),
                Option("learning_rate", "NUMBER", "learning rate at the start; a cosine lowers it"),
                Option("num_workers", "N", "processes that load data (0)"),
                _DEVICE,
                _AMP,
                _VERBOSE,
            ),
            "The small network is trained as the shipped weights were, the paper's by the paper's recipe. Training "
            "goes on where it was stopped. Folders in brackets are those of the bundle.\n\n"
            + _ALL_IDS.format("configs/train.json and its overlays"),
            takes_ids=True,
        ),
        "evaluate": Verb(
            "score weights on the test section of a datalist",
            (),
            (
                _DATA,
                _LAYOUT,
                Option("small", "", "the small network, which is what is taken anyway"),
                _FULL,
                _WEIGHTS,
                Option("output_dir", "DIR", "folder for the tables and the summary (eval/)"),
                Option("baselines", "NAMES", "filters to compare with, such as gaussian,bilateral (gaussian)"),
                Option("compare_to", "FILE", "slices.csv of an earlier evaluation"),
                _MRI_SCALE,
                _SECTION,
                _DEVICE,
                _VERBOSE,
            ),
            "What the tables mean: docs/concepts/evaluation.md. Folders in brackets are those of the bundle.\n\n"
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
            (Option("seed", "N", "seed of the bootstrap (0)"),),
            "Prints mean difference, bootstrap interval and Wilcoxon test of each task: docs/concepts/evaluation.md.",
        ),
        "draw": Verb(
            "draw the middle slice of every restored scan",
            (
                Place("RESTORED", "restored", "folder that tat restore wrote to"),
                Place("OUT", "out", "folder for the pictures, one PNG for each scan"),
            ),
            (
                Option("datalist", "FILE", "JSON datalist with clean images; this or --scan is needed"),
                Option("scan", "PATH", "scans without a clean image: what tat restore was given"),
                _SECTION,
                _MODALITY,
                _MRI_SCALE,
                Option("note", "TEXT", "line below the title of the pictures of --scan"),
                _MEASURED,
            ),
        ),
        "diagnose": Verb(
            "look into a trained network: its tasks' gradients and its task representation",
            (
                Place("WEIGHTS", "weights", "model.pt of a training"),
                Place("DATALIST", "datalist", "JSON datalist whose section training is drawn from"),
                Place("OUT", "out", "folder for tables and pictures"),
            ),
            (
                _FULL,
                _LAYOUT,
                Option("config_file", "FILES", "configs of the training, where they are not those of tat train"),
                Option("checkpoint", "FILE", "checkpoint.pt of the training, for its trained loss weights"),
                Option("training_log", "FILE", "its training_log.csv (beside WEIGHTS)"),
                Option("twin", "FILE", "model.pt of a training to compare with"),
                Option("twin_config", "FILES", "configs that the twin was trained with, laid over the others"),
                Option("n_batches", "N", "training batches to draw (8)"),
                Option("n_patches", "N", "patches of each person to degrade in every way; 0 for none (4)"),
                Option("seed", "N", "seed of the draw (0)"),
                _MRI_SCALE,
                _MEASURED,
            ),
            "What the files mean: docs/how-to/diagnosis.md.",
        ),
        "export": Verb(
            "write the network as TorchScript, ONNX and torch.export files",
            (Place("OUT", "out", "folder for the files", is_optional=True),),
            (
                Option("formats", "ts,onnx,pt2", "which files (all)"),
                Option("config_file", "FILE", "config with the network_def (configs/inference.json)"),
                _WEIGHTS,
            ),
            "Each file is held to the network itself before it is put in OUT (build/export/ of the bundle). What the "
            "files are good for: docs/how-to/exports.md.",
        ),
        "serve": Verb(
            "run a DICOM node: series come in over the network, derived series go out",
            (),
            (
                Option("send_to", "HOST:PORT:AE", "the archive that gets the derived series; needed"),
                Option("ae_title", "AE", "title of the node (TAT); callers must name it"),
                Option("port", "N", "TCP port to listen on (11112)"),
                Option("bind", "ADDRESS", "address to listen on (127.0.0.1: this computer alone)"),
                Option("allow_ae", "AE,...", "titles of the callers that are accepted; needed beyond this computer"),
                Option("allow_address", "ADDRESS,...", "their addresses or networks (192.0.2.0/24); likewise"),
                Option("tls_cert", "FILE", "certificate of the node in PEM: TLS in both directions"),
                Option("tls_key", "FILE", "its key, without a passphrase"),
                Option("tls_ca", "FILE", "certificates of the authority that signs those of callers and archive"),
                Option("folder", "DIR", "the queue and the scans ($STATE_DIRECTORY, or ~/.local/state/tat-node)"),
                Option("quiet", "SECONDS", "a series is complete when nothing of it came for so long (10)"),
                Option(
                    "keep", "DAYS", "how long series that are done with stay on the disk (7); others a day at least"
                ),
                Option("min_free", "MB", "what must stay free on the disk, objects are refused below it (2000)"),
                Option("max_associations", "N", "callers at a time (8)"),
                Option("max_pdu", "BYTES", "length of a protocol data unit (65536)"),
                Option("max_instance", "MB", "size of an object (512)"),
                Option("max_series", "MB", "size of a series (4000)"),
                Option("metrics_file", "FILE", "gets counters in the text format of Prometheus, every 15 seconds"),
                Option("status", "", "print the queue, also of a node that runs, and end"),
                Option("retry", "JOB", "put a job back that is incomplete, was refused or has failed, and end"),
                Option("once", "", "end when everything that came is done with"),
                Option("workers", "N", "slices that a CPU restores at once, one thread each (as many as it has cores)"),
                _DEVICE,
                _WEIGHTS,
            ),
            "It needs pip install '.[node]'. Series are restored in turn, as by tat restore, and survive kill -9 in a "
            "queue on disk. One of which something is missing waits for its sender. The log names jobs by their "
            "numbers and tells nothing of a patient. How to run it as a service: docs/how-to/node.md.\n\n"
            + _ALL_IDS.format("configs/inference.json"),
            takes_ids=True,
        ),
        "version": Verb("print the version of the bundle and of what it runs on"),
    }
)
