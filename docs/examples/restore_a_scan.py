# %% [markdown]
# # Restore a scan and look at it
#
# Start it in the bundle's folder. It needs `pip install --editable .` and a minute on a CPU.
# The sample is a CT whose quarter dose is simulated. Results go to `demo/`.

# %%
import json
from pathlib import Path

import matplotlib.pyplot as plt
import nibabel as nib
import torch

from bundle.tat.metrics import evaluate_pair
from bundle.tat_command import main

SAMPLES, OUT = Path("tests/samples"), Path("demo/example")

# %% [markdown]
# ## Restore it
#
# `main` is the command `tat`. It returns the exit code: 0 when no scan was refused.

# %%
exit_code = main(["restore", str(SAMPLES / "ct_lung1_low.nii.gz"), str(OUT), "--modality", "CT"])

# %% [markdown]
# ## Read what the run says about the scan
#
# The record holds settings, measures and the verdict. No clean scan is needed for them.

# %%
record = json.loads((OUT / "ct_lung1_low" / "restoration.json").read_text())
print(record["quality"]["verdict"], *record["quality"]["reasons"], sep="\n")

# %% [markdown]
# ## Compare it with the clean scan
#
# Scores are those of the paper: within [-160, 240] HU, slice by slice.

# %%
files = {
    "quarter dose": SAMPLES / "ct_lung1_low.nii.gz",
    "restored": OUT / "ct_lung1_low" / "ct_lung1_low_restored.nii.gz",
    "full dose": SAMPLES / "ct_lung1_full.nii.gz",
}
volumes = {name: torch.from_numpy(nib.load(file).get_fdata()) for name, file in files.items()}
clean = volumes["full dose"]
n_slices = clean.shape[-1]
mean_psnr = {
    name: sum(evaluate_pair(volumes[name][..., k], clean[..., k], "CT")["psnr"] for k in range(n_slices)) / n_slices
    for name in ("quarter dose", "restored")
}
for name, value in mean_psnr.items():
    print(f"{name}: {value:.2f} dB")

# %% [markdown]
# ## Look at it
#
# The difference shows what was removed. Edges in it are anatomy that was lost.

# %%
middle = n_slices // 2
images = {name: volume[..., middle].T.numpy() for name, volume in volumes.items()}
images["restored - quarter dose"] = images["restored"] - images["quarter dose"]
figure, axes = plt.subplots(1, 4, figsize=(16, 4.5))
for axis, (name, image) in zip(axes, images.items(), strict=True):
    low, high = (-60, 60) if "-" in name else (-160, 240)
    axis.imshow(image, cmap="gray", vmin=low, vmax=high, origin="lower")
    axis.set(title=f"{name} [{low}, {high}] HU", xticks=[], yticks=[])
figure.tight_layout()
figure.savefig(OUT / "ct.png")
