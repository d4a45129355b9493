"""The program as a user runs it: arguments in, table, files and exit code out."""

import csv
import json
import os
import re
import signal
import struct
import subprocess
import sys
import time
import zlib

import nudenet
import numpy as np
import pytest
import torch
from PIL import Image

import eval_unlearning
from report.folders import below_parent
from stats.intervals import PROMPTS_FIXED
from tests.conftest import DEMO, ROOT, SHARED, photo

PROGRAM = ROOT / "eval_unlearning.py"


@pytest.fixture
def evaluate(tmp_path, capsys):
    """Return a function that runs the program and gives (exit code, stdout, stderr)."""

    def evaluate(*arguments, cache="cache", results="results"):
        places = ("--cache-dir", tmp_path / cache, "--results-dir", tmp_path / results)
        code = eval_unlearning.main([str(argument) for argument in (*arguments, *places)])
        out, err = capsys.readouterr()
        return code, out, err

    return evaluate


def rows(tmp_path, results="results"):
    with (tmp_path / results / "images.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_demo_shows_a_face_that_stays_and_one_that_goes(evaluate, tmp_path):
    code, out, _ = evaluate("--indicator", "nudenet", "--concept", "Face")
    assert code == 0
    summary = json.loads((tmp_path / "results" / "eval.json").read_text())
    rates = {os.path.basename(f["folder"]): f["presence_rate"] for f in summary["folders"]}
    assert rates == {"ORG": 1, "DemoTint": 1, "DemoBlur": 0, "DemoPixelate": 0}
    assert next(iter(rates)) == "ORG"
    assert out.count("warning: each folder: ") == 1
    assert all(name in out for name in rates)


def test_the_table_names_folders_below_their_common_parent():
    parent, short = below_parent(["out/a/ORG", "out/a/ESD", "out/b"])
    assert (parent, list(short.values())) == ("out", ["a/ORG", "a/ESD", "b"])
    for folders in (["out/ORG"], ["out", "out/ORG"], ["/out/ORG", "ESD"], ["/a", "/b"]):
        assert below_parent(folders) == ("", {f: f for f in folders})


def test_detections_in_the_csv_are_the_packages(evaluate, tmp_path):
    folders = [DEMO / "forgot" / "ORG", DEMO / "unrelated" / "ORG" / "Cat"]
    evaluate("--indicator", "nudenet", "--images", *folders, "--batch-size", 3)
    reference = nudenet.NudeDetector()
    found = rows(tmp_path)
    assert len(found) == 7
    for row in found:
        expected = reference.detect(os.path.join(row["folder"], row["image"]))
        assert json.loads(row["detections"]) == expected
        assert (row["present"], row["score"], row["error"]) == ("0", "0.0", "")
    assert any(json.loads(row["detections"]) for row in found)


def test_an_interval_of_one_prompt_is_said_to_be_over_seeds(evaluate, tmp_path):
    folder = tmp_path / "one"
    folder.mkdir()
    for k in range(3):
        photo(k).save(folder / f"0_0_{k}.png")
    _, out, _ = evaluate("--indicator", "nudenet", "--images", folder)
    (entry,) = json.loads((tmp_path / "results" / "eval.json").read_text())["folders"]
    assert entry["interval_note"] == PROMPTS_FIXED
    assert f"warning: {folder}: {PROMPTS_FIXED}" in out


def logits_of(found):
    score = np.array([float(row["score"]) for row in found])
    return np.log(score) - np.log1p(-score)


def test_scores_do_not_depend_on_the_batch_size(
    evaluate, tmp_path, make_images, clip_folder, weights_dir
):
    folder = make_images("ESD", 7)
    models = ("--model", f"clip={clip_folder}", "--weights-dir", weights_dir)
    scores = []
    for size in (1, 3, 64):
        code, _, _ = evaluate(
            *("--indicator", "bi_multiC", "--concept", "church", "--images", folder, *models),
            *("--batch-size", size),
            cache=f"cache{size}",
        )
        assert code == 0
        scores.append(logits_of(rows(tmp_path)))
    np.testing.assert_allclose(scores[1:], [scores[0]] * 2, atol=1e-4)


def test_style_gives_the_distribution_and_the_accuracy_of_named_folders(
    evaluate, tmp_path, make_images, clip_folder, weights_dir
):
    folders = [make_images("Claude Monet", 4), make_images("ESD", 3, first=9)]
    code, out, _ = evaluate(
        *("--indicator", "multi_multiC", "--concept", "style", "--images", *folders),
        *("--model", f"clip={clip_folder}", "--weights-dir", weights_dir),
    )
    assert code == 0
    summary = json.loads((tmp_path / "results" / "eval.json").read_text())
    assert [sum(f["classes"].values()) for f in summary["folders"]] == [4, 3]
    monet, esd = (f["class_accuracy"] for f in summary["folders"])
    assert (monet.keys(), esd) == ({"claude-monet"}, {})
    assert monet["claude-monet"]["n"] == 4
    assert "most frequent classes" in out
    assert "true class" in out


def test_a_second_run_makes_no_forward_pass_and_needs_no_torch(
    tmp_path, make_images, clip_folder, weights_dir
):
    command = [
        *(sys.executable, "-X", "importtime", PROGRAM, "--indicator", "bi_multiC"),
        *("--concept", "church", "--images", make_images("ESD", 4)),
        *("--model", f"clip={clip_folder}", "--weights-dir", weights_dir),
        *("--cache-dir", tmp_path / "cache", "--results-dir", tmp_path / "results"),
    ]
    first, second = (
        subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(2)
    )
    assert "4 rows computed" in first.stderr
    assert "no forward pass" in second.stderr
    imported = {line.rsplit("|")[-1].strip() for line in second.stderr.splitlines()}
    assert "numpy" in imported
    assert not imported & {"torch", "transformers", "onnxruntime", "pandas"}
    assert first.stdout == second.stdout


def test_unreadable_files_are_counted_and_named_not_scored(evaluate, tmp_path, make_images):
    folder = make_images("ESD", 3)
    (folder / "0_0_9.png").write_bytes(b"")
    (folder / "x.png").mkdir()
    code, out, _ = evaluate("--indicator", "nudenet", "--images", folder)
    assert code == 0
    assert "0_0_9.png: empty file (0 bytes)" in out
    assert "x.png: is a directory" in out
    (entry,) = json.loads((tmp_path / "results" / "eval.json").read_text())["folders"]
    assert (entry["images"], entry["scored"], len(entry["unreadable"])) == (5, 3, 2)
    assert [row["present"] for row in rows(tmp_path)] == ["0", "0", "0", "", ""]


def test_black_images_and_copies_are_warned_about(evaluate, tmp_path, make_images):
    # A safety filter's black squares would count as perfectly forgotten.
    folder = make_images("ESD", 1)
    for name in ("black.png", "again.png"):
        Image.new("RGB", (64, 64)).save(folder / name)
    _, out, _ = evaluate("--indicator", "nudenet", "--images", folder)
    assert "2 images of one grey level" in out
    assert "1 images are copies" in out
    (entry,) = json.loads((tmp_path / "results" / "eval.json").read_text())["folders"]
    assert (entry["constant"], entry["copies"]) == (["again.png", "black.png"], 1)


def test_the_same_folder_twice_is_one_row(evaluate, tmp_path, make_images):
    folder = make_images("ESD", 2)
    evaluate("--indicator", "nudenet", "--images", folder, folder / "." / ".." / "ESD")
    assert len(rows(tmp_path)) == 2


def test_results_are_written_before_they_are_shown(tmp_path, make_images):
    command = [sys.executable, PROGRAM, "--indicator", "nudenet", "--images", make_images("ESD", 1)]
    command += ["--cache-dir", tmp_path / "c", "--results-dir", tmp_path / "r"]
    closed = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    run = subprocess.Popen(command, **closed)
    run.stdout.close()  # `... | head -0`
    run.wait()
    assert (tmp_path / "r" / "images.csv").is_file()


def test_any_file_name_can_be_shown(tmp_path, make_images):
    folder = make_images("ESD", 1)
    (folder / os.fsdecode(b"caf\xe9.png")).write_bytes(b"text")
    command = [sys.executable, PROGRAM, "--indicator", "nudenet", "--images", folder]
    command += ["--cache-dir", tmp_path / "c", "--results-dir", tmp_path / "r"]
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii"}
    run = subprocess.run(command, capture_output=True, env=ascii_only, check=True)
    assert b"caf\\udce9.png" in run.stdout


def test_an_image_of_too_many_pixels_is_named_and_no_warning_of_a_library(tmp_path, make_images):
    folder = make_images("ESD", 1)
    header = b"IHDR" + struct.pack(">IIBBBBB", 13300, 13300, 16, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    (folder / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 9) + b"IDAT")
    command = [sys.executable, PROGRAM, "--indicator", "nudenet", "--images", folder]
    command += ["--cache-dir", tmp_path / "c", "--results-dir", tmp_path / "r"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "x.png: 13300x13300 pixels, over" in run.stdout
    assert "Warning" not in run.stderr


def test_a_folder_without_one_readable_image_is_an_error(evaluate, make_images):
    folder = make_images("ESD", 1)
    (folder / "0_0_0.png").write_bytes(b"text")
    code, out, err = evaluate("--indicator", "nudenet", "--images", folder)
    assert code == 2
    assert "no image could be read (0_0_0.png: not an image, or damaged)" in err
    assert "-" in out


def test_recursive_takes_subfolders_and_names_them(evaluate, tmp_path):
    code, _, _ = evaluate(
        *("--indicator", "nudenet", "--images", DEMO / "unrelated" / "ORG", "--recursive")
    )
    assert code == 0
    assert [row["image"] for row in rows(tmp_path)][:2] == ["Cat/1_0_0.png", "Cat/1_0_1.png"]


def test_without_cache_nothing_is_kept(evaluate, tmp_path, make_images):
    evaluate("--indicator", "nudenet", "--images", make_images("ESD", 1), "--no-cache")
    assert not (tmp_path / "cache").exists()


def test_the_manifest_says_what_was_run_on_what(evaluate, tmp_path, make_images):
    evaluate("--indicator", "nudenet", "--images", make_images("ESD", 2))
    manifest = json.loads((tmp_path / "results" / "eval.json").read_text())["manifest"]
    assert len(manifest["models"]["nudenet"]["sha256"]) == 64
    assert manifest["checkers"]["nudity"]["preset"] == "exposed6"
    assert [len(digest) for digest in manifest["folders"].values()] == [64]
    assert manifest["packages"]["nudenet"]


ONE_LINE = {
    "wrong concept": (["--concept", "Charch"], "did you mean church?"),
    "wrong indicator": (["--indicator", "nudnet"], "did you mean nudenet?"),
    "concept of another": (["--indicator", "nudenet", "--concept", "tench"], "multi_multiC has"),
    "preset of no detector": (["--preset", "mace"], "only nudenet has presets"),
    "missing folder": (["--images", "gone"], "gone: no such folder"),
    "empty folder": (["--images", "{tmp}"], "no images"),
    "batch size 0": (["--batch-size", "0"], "at least 1, not 0"),
    "workers -1": (["--workers", "-1"], "at least 1, not -1"),
    "unknown model": (["--model", "clop=x"], "did you mean clip?"),
    "model without value": (["--model", "clip"], "write clip=PATH_OR_ID"),
    "device of nowhere": (["--device", "gpu"], "auto, cpu, cuda or cuda:N"),
    "unwritable cache": (["--indicator", "nudenet", "--cache-dir", "{file}"], "--cache-dir"),
    "unwritable results": (["--results-dir", "{file}/x"], "cannot be written"),
    "weights folder gone": (["--weights-dir", "gone"], "gone: no such folder"),
    "model gone": (
        ["--weights-dir", "{weights}", "--model", "clip=./gone"],
        "neither a folder nor a hub id",
    ),
    "model not to be had": (["--weights-dir", "{weights}"], "https://huggingface.co/openai/clip"),
}


@pytest.mark.parametrize("case", ONE_LINE)
def test_bad_input_is_one_clear_line_and_exit_code_2(case, tmp_path, capsys, weights_dir):
    arguments, message = ONE_LINE[case]
    file = tmp_path / "file"
    file.touch()
    places = {"tmp": tmp_path, "file": file, "weights": weights_dir}
    arguments = [a.format(**places) for a in arguments]
    try:
        places = ["--results-dir", str(tmp_path / "r"), "--cache-dir", str(tmp_path / "c")]
        code = eval_unlearning.main([*places, *arguments])
    except SystemExit as stop:  # argparse
        code = stop.code
    out, err = capsys.readouterr()
    assert code == 2
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert out == ""


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_cuda_without_a_gpu_is_an_error_not_a_fallback(evaluate):
    code, _, err = evaluate("--indicator", "nudenet", "--device", "cuda")
    assert code == 2
    assert "torch sees no CUDA GPU" in err


def test_debug_shows_the_traceback(evaluate):
    code, _, err = evaluate("--concept", "Charch", "--debug")
    assert code == 2
    assert "Traceback" in err


@pytest.mark.parametrize("arguments", [["--help"], ["--batch-size", "0"], ["--concept", "Charch"]])
def test_help_and_wrong_arguments_do_not_import_torch(arguments):
    code = (
        f"import sys; sys.argv = ['x', *{arguments!r}]\n"
        "import eval_unlearning\n"
        "try: eval_unlearning.main()\n"
        "except SystemExit: pass\n"
        "sys.exit('torch' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False)
    assert run.returncode == 0


def test_a_killed_run_goes_on_where_it_was_and_ends_the_same(tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    for i in range(400):
        photo(i, 320, 320).save(folder / f"0_0_{i}.png", compress_level=0)

    def command(cache, results):
        return [
            *(sys.executable, PROGRAM, "--indicator", "nudenet", "--concept", "Face"),
            *("--images", folder, "--batch-size", "2", "--quiet"),
            *("--cache-dir", tmp_path / cache, "--results-dir", tmp_path / results),
        ]

    killed = subprocess.Popen(command("cache", "first"))
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("cache/nudenet*/part-*.parquet")) and killed.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL  # else the run was over before it was killed
    kept = len(list(tmp_path.glob("cache/nudenet*/part-*.parquet")))
    assert kept >= 1
    resumed = subprocess.run(
        [part for part in command("cache", "first") if part != "--quiet"],
        capture_output=True,
        text=True,
        check=True,
    )
    computed = int(re.search(r"nudenet: (\d+) rows computed", resumed.stderr)[1])
    assert 0 < computed < 400
    subprocess.run(command("other", "second"), check=True)
    assert (tmp_path / "first" / "images.csv").read_bytes() == (
        tmp_path / "second" / "images.csv"
    ).read_bytes()


def test_real_images_of_the_paper(evaluate, tmp_path, clip_folder):
    church = SHARED / "Church" / "forgot"
    if not church.is_dir():
        pytest.skip("../shared/data/Church is not here")
    code, out, _ = evaluate(
        *("--indicator", "bi_multiC", "--concept", "church", "--weights-dir", SHARED / "heads"),
        *("--model", f"clip={clip_folder}", "--images", church / "ORG", church / "ESD"),
    )
    assert code == 0
    assert len(rows(tmp_path)) == 10
    assert f"folders of {church}\n" in out
