"""What the words of a command line mean."""

import pytest

from bundle.tat_command.words import MisuseError, read_words


@pytest.mark.parametrize("name", ["2026_01", "1e5", "a,b", "[x]", "{a: b}", "None", "True", "a b", "x#y", "'q'"])
def test_paths_are_taken_as_typed(name, foreign_directory):
    assert read_words("restore", [name, f"out/{name}"]) == {
        "dataset_dir": str(foreign_directory / name),
        "output_dir": str(foreign_directory / "out" / name),
    }
    assert read_words("train", ["--ckpt_dir", name, f"--data={name}"]) == {
        "ckpt_dir": str(foreign_directory / name),
        "data": str(foreign_directory / name),
    }


def test_other_values_are_read_as_monai_reads_them():
    words = ["--slice_batch_size", "1", "--modality=CT", "--slice_axis", "-1", "--tasks", "CT,PET", "--max_grad_norm"]
    options = read_words("train", [*words, "None", "--learning-rate", "1e-4", "--train#patch_size", "64"])
    assert options == {
        "slice_batch_size": 1,
        "modality": "CT",
        "slice_axis": -1,
        "tasks": ("CT", "PET"),
        "max_grad_norm": None,
        "learning_rate": 1e-4,
        "train#patch_size": 64,
    }


@pytest.mark.parametrize(
    "words", ["--overwrite IN OUT", "IN --overwrite OUT", "IN OUT --overwrite", "--overwrite true IN OUT"]
)
def test_a_switch_takes_no_path_for_its_value(words, foreign_directory):
    options = read_words("restore", words.split())
    assert options["overwrite"] is True
    assert options["dataset_dir"] == str(foreign_directory / "IN")
    assert options["output_dir"] == str(foreign_directory / "OUT")


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("serve", "--folder", "--folder needs a value: --folder DIR, see tat serve --help"),
        ("serve", "--folder --status", "--folder needs a value"),
        ("serve", "--folder=", "--folder needs a value"),
        ("serve", "--allow-ae= --bind 0.0.0.0", "--allow_ae needs a value: --allow_ae AE,..."),
        ("serve", "--ckpt_dir", "--ckpt_dir needs a value: --ckpt_dir PATH"),
        ("restore", "IN --output_dir", "--output_dir needs a value: --output_dir OUT"),
    ],
)
def test_an_option_needs_its_value(name, words, message):
    with pytest.raises(MisuseError, match=message):
        read_words(name, words.split())


def test_a_switch_is_turned_off():
    assert read_words("restore", ["a", "b", "--overwrite", "False", "--nifti=FALSE"])["overwrite"] is False


def test_a_path_like_an_option_follows_two_dashes(foreign_directory):
    options = read_words("restore", ["--nifti", "--", "--in", "-out"])
    assert options == {
        "nifti": True,
        "dataset_dir": str(foreign_directory / "--in"),
        "output_dir": str(foreign_directory / "-out"),
    }


def test_paths_may_be_named_and_home_is_known(foreign_directory, monkeypatch):
    monkeypatch.setenv("HOME", str(foreign_directory / "home"))
    options = read_words("restore", ["--output_dir", "../OUT", "~/IN"])
    assert options == {
        "output_dir": str(foreign_directory.parent / "OUT"),
        "dataset_dir": str(foreign_directory / "home" / "IN"),
    }


def test_texts_are_taken_as_typed():
    options = read_words("draw", ["a", "b", "--note", "1e5", "--section", "2026_01"])
    assert (options["note"], options["section"]) == ("1e5", "2026_01")


def test_an_expression_of_a_config_is_no_path():
    assert read_words("train", ["--ckpt_dir", "$@bundle_root + '/x'"])["ckpt_dir"] == "$@bundle_root + '/x'"


@pytest.mark.parametrize(
    ("verb", "words", "message"),
    [
        ("restore", ["a"], "tat restore needs OUT: tat restore IN OUT"),
        ("restore", [], "needs IN and OUT"),
        ("restore", ["a", "b", "c"], "'c' is one word too many"),
        ("restore", ["a", "b", "--output_dir", "c"], "OUT is given twice, as 'b' and with --output_dir"),
        ("restore", ["a", "b", "--nifti=yes"], "'yes' is no value of a switch: pass True or False"),
        ("compare", ["a", "b", "--sead", "3"], "there is no --sead, see tat compare --help. Did you mean seed?"),
    ],
)
def test_words_that_make_no_sense_are_refused(verb, words, message):
    with pytest.raises(MisuseError) as caught:
        read_words(verb, words)
    assert message in str(caught.value)
