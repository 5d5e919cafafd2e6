# %% [markdown]
# # Fine-tune on your own pairs, and compare with statistics
#
# Start it in the bundle's folder. It needs `pip install --editable '.[report]'` and some minutes on a CPU.
# The sample CT stands for your pairs, cut into three sections by slices. With real data, a person is in
# one section only.

# %%
import shutil
from pathlib import Path

import nibabel as nib

from bundle.tat_command import main

SAMPLES, OUT = Path("tests/samples"), Path("demo/fine_tuning")
SECTIONS = {"training": slice(0, 5), "validation": slice(5, 7), "testing": slice(7, 9)}
N_EPOCHS, N_STEPS = 2, 5  # so that it ends soon; 8 epochs of 250 steps are a beginning

# %% [markdown]
# ## Put the pairs in folders
#
# `LQ` holds degraded scans, `HQ` clean ones of the same name.

# %%
shutil.rmtree(OUT, ignore_errors=True)
for kind, dose in (("LQ", "low"), ("HQ", "full")):
    scan = nib.load(SAMPLES / f"ct_lung1_{dose}.nii.gz")
    for section, part in SECTIONS.items():
        file = OUT / "pairs" / section / "CT" / kind / "lung1.nii.gz"
        file.parent.mkdir(parents=True)
        nib.save(scan.slicer[:, :, part], file)

# %% [markdown]
# ## Score the shipped weights, train them further, score again
#
# Each line is a command: `tat evaluate ...`, `tat train ...`, `tat evaluate ...`.

# %%
pairs = ["--layout", "folders", "--data", str(OUT / "pairs")]
weights = OUT / "run" / "model.pt"
short = ["--epochs", str(N_EPOCHS), "--epoch_length", str(N_STEPS), "--val_interval", "1", "--num_workers", "0"]
commands = [
    ["evaluate", *pairs, "--output_dir", str(OUT / "before")],
    [
        "train",
        *pairs,
        "--pretrained",
        "models/model.pt",
        "--learning_rate",
        "1e-4",
        "--ckpt_dir",
        str(OUT / "run"),
        *short,
    ],
    ["evaluate", *pairs, "--ckpt_path", str(weights), "--output_dir", str(OUT / "after")],
]
exit_codes = [main(words) for words in commands]

# %% [markdown]
# ## Compare
#
# Mean difference of the same slices, with bootstrap interval and Wilcoxon test. Two slices of one person prove nothing:
# keep the shipped weights unless the interval over many persons lies above 0.

# %%
exit_codes.append(main(["compare", str(OUT / "after" / "slices.csv"), str(OUT / "before" / "slices.csv")]))
