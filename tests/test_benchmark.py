"""The program as a user runs it; models have their real architectures and seeded weights."""

import csv
import json
import shutil
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import benchmark
import results as looking_back
from metrics import ASPECTS
from tests.conftest import DEMO, ROOT, SHARED, photo

METHODS = ("ORG", "ESD", "UCE")


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory):
    """One store for tests that need no cold one: rows are keyed by content."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def run(tmp_path, capsys, shared_cache):
    """Return a function that runs the program and gives (exit code, stdout, stderr)."""

    def run(*arguments, cache=None, results="results"):
        store = tmp_path / cache if cache else shared_cache
        places = ("--cache-dir", store, "--results-dir", tmp_path / results)
        try:
            code = benchmark.main([str(argument) for argument in (*arguments, *places)])
        except SystemExit as stop:  # argparse
            code = stop.code
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def church(tmp_path):
    """Church/{forgot,remove_word,unrelated} with three methods of four images."""
    root = tmp_path / "data"
    for m, method in enumerate(METHODS):
        for k in range(4):
            seed = k + 100 * m
            image = Image.blend(photo(k, 96, 80), photo(seed, 96, 80), 0.2 * m)
            for folder in ("forgot", "unrelated/{}/Airplane", "unrelated/{}/Bird"):
                where = root / "Church" / folder.format(method)
                where = where if "unrelated" in folder else where / method
                where.mkdir(parents=True, exist_ok=True)
                i = {"forgot": 0, "Airplane": 2, "Bird": 3}[folder.rsplit("/")[-1]]
                image.save(where / f"{i}_{k % 2}_{k // 2}.png")
    shutil.copytree(root / "Church/forgot/ORG", root / "Church/remove_word/ORG")
    for k in range(4):
        path = root / f"Church/remove_word/ORG/0_{k % 2}_{k // 2}.png"
        photo(50 + k, 96, 80).save(path)
    return root


def scores(tmp_path, results="results"):
    with (tmp_path / results / "scores.csv").open(newline="") as file:
        return {(r["concept"], r["method"], r["metric"]): r for r in csv.DictReader(file)}


def values(tmp_path, results="results"):
    return {key: row["value"] for key, row in scores(tmp_path, results).items()}


def assert_same(one, other, rel=1e-4):
    assert one.keys() == other.keys()
    for key, value in one.items():
        if value == "":
            assert other[key] == "", key
        else:
            assert float(other[key]) == pytest.approx(float(value), rel=rel, abs=1e-6), key


def test_every_aspect_in_one_run_and_nothing_twice(run, church, tmp_path, model_flags, caplog):
    flags = ("--evaluation-aspect", "all", "--data-root", church, *model_flags)
    code, out, err = run(*flags, cache="cold")
    assert code == 0, err
    metrics = {metric for _, _, metric in scores(tmp_path)}
    assert metrics >= {"presence_rate", "fid", "kid", "lpips"}
    assert metrics >= {"csdr", "csdr_signed", "clip_score", "ssim", "psnr"}
    assert "Erased Stable Diffusion" in out
    # 12 images of the methods and 4 of the reference, once for all methods; 12 pairs.
    computed = {r.args[0]: r.args[1] for r in caplog.records if len(r.args) == 4}
    for name, n in {"inception": 16, "clip_score": 16, "clip": 12, "lpips": 12}.items():
        assert computed[name] == f"{n} rows computed"
    first = values(tmp_path)
    caplog.clear()
    code, again, _ = run(*flags, cache="cold")
    assert (code, again) == (0, out)
    assert "rows computed" not in caplog.text
    assert_same(first, values(tmp_path), rel=0)


def test_published_json_files_have_the_published_nesting(run, church, tmp_path, model_flags):
    run("--evaluation-aspect", *ASPECTS, "--data-root", church, *model_flags)
    run("--evaluation-aspect", "fid", "lpips", "--object", "--data-root", church, *model_flags)
    files = {p.name: json.loads(p.read_text()) for p in (tmp_path / "results").glob("*.json")}
    assert set(files) - {"manifest.json", "scores.json"} == {
        *("accuracy.json", "FID.json", "FID_object.json", "LPIPS.json", "LPIPS_avg.json"),
        *("LPIPS_object.json", "LPIPS_object_avg.json", "YOLO.json", "CSDR.json", "CSDR_avg.json"),
    }
    concept = "object_church"
    assert set(files["FID.json"]["FID"][concept]) == set(METHODS)
    assert set(files["LPIPS.json"]["LPIPS"][concept]["ESD"]) == {
        f"0_{j}_{k}.png" for j in range(2) for k in range(2)
    }
    average = files["LPIPS_object_avg.json"]["LPIPS"]
    assert set(average["categories"][concept]["ESD"]) == {"Airplane", "Bird"}
    assert average["all"][concept]["ESD"] == pytest.approx(
        np.mean(list(average["categories"][concept]["ESD"].values()))
    )
    assert len(files["CSDR.json"][concept]["ESD"]["clipscore"]) == 4
    assert files["YOLO.json"]["YOLO"][concept].keys() == set(METHODS)


def test_renaming_and_copying_methods_changes_no_number(run, church, tmp_path, model_flags):
    flags = ("--evaluation-aspect", "all", "--data-root", church, *model_flags)
    run(*flags)
    before = values(tmp_path)
    for where in ("forgot", "unrelated"):
        folder = church / "Church" / where
        (folder / "ESD").rename(folder / "aaa")
        shutil.copytree(folder / "UCE", folder / "copy")
    run(*flags, cache="another", results="again")
    after = values(tmp_path, "again")
    for (concept, method, metric), value in before.items():
        for name in {"ESD": ["aaa"], "UCE": ["UCE", "copy"]}.get(method, [method]):
            same = {"x": after[concept, name, metric]}
            assert_same({"x": value}, same)


@pytest.mark.parametrize("batch_size", [1, 5])
def test_batch_sizes_agree(run, church, tmp_path, model_flags, batch_size):
    flags = ("--evaluation-aspect", "all", "--data-root", church, *model_flags)
    run(*flags)
    run(*flags, "--batch-size", batch_size, cache="another", results="again")
    assert_same(values(tmp_path), values(tmp_path, "again"))


def test_a_bad_a_missing_and_a_surplus_image_are_named_and_the_rest_scored(
    run, church, tmp_path, model_flags
):
    esd = church / "Church" / "forgot" / "ESD"
    (esd / "0_0_0.png").write_bytes(b"text")
    (esd / "0_0_1.png").unlink()
    photo(9, 96, 80).save(esd / "0_1_7.png")
    code, out, _ = run("--evaluation-aspect", "all", "--data-root", church, *model_flags)
    assert code == 0
    row = scores(tmp_path)["object_church", "ESD", "lpips"]
    assert row["n"] == "2"
    manifest = (tmp_path / "results" / "manifest.json").read_text()
    for text in (row["warnings"], out, manifest):
        assert "unreadable: 0_0_0.png" in text
        assert "missing: 0_0_1" in text
        assert "surplus: 0_1_7" in text
    warnings = scores(tmp_path)["object_church", "UCE", "lpips"]["warnings"]
    assert warnings == "no interval: 2 prompts, and it takes 4"


def test_a_later_run_keeps_the_other_aspects(run, church, tmp_path, model_flags):
    flags = ("--data-root", church, *model_flags)
    run("--evaluation-aspect", "ssim", *flags)
    run("--evaluation-aspect", "lpips", *flags)
    metrics = {metric for _, _, metric in scores(tmp_path)}
    assert metrics == {"ssim", "lpips"}
    images = pq.read_table(tmp_path / "results" / "images.parquet").to_pylist()
    assert {row["metric"] for row in images} == {"ssim", "lpips"}
    manifest = json.loads((tmp_path / "results" / "manifest.json").read_text())
    assert {metric for _, _, metric in manifest["scores"]} == {"lpips"}
    (earlier,) = manifest["earlier"]
    assert {metric for _, _, metric in earlier["scores"]} == {"ssim"}


@pytest.mark.parametrize("kind", ["empty folder", "broken link"])
def test_methods_without_one_image_are_one_line(run, tmp_path, kind):
    method = tmp_path / "data" / "Face" / "forgot" / "ORG"
    method.parent.mkdir(parents=True)
    method.symlink_to("gone") if kind == "broken link" else method.mkdir()
    code, _, err = run("--evaluation-aspect", "forgetting", "--data-root", tmp_path / "data")
    assert code == 2
    assert "error: forgetting: no method of face has an image" in err


def test_all_without_models_scores_what_it_can_and_names_the_rest(run, tmp_path, monkeypatch):
    monkeypatch.setattr("model_files.weights.download", _no_network)
    code, out, _ = run("--evaluation-aspect", "all", "--data-root", DEMO.parent)
    assert code == 0
    metrics = {metric for _, _, metric in scores(tmp_path)}
    judged = {"presence_rate_nudenet_face", "presence_rate_nudenet_face-reported"}
    judged |= {"presence_score_nudenet_face"}
    assert metrics == {"presence_rate", "forgetting_rate", "ssim", "psnr"} | judged
    # A short table: the whole message of each missing model is in the manifest.
    lines = out.partition("not scored")[2].splitlines()
    for name in ("fid ", "lpips ", "not scored: yolo of face: ", "not scored: CSDR: "):
        assert sum(line.startswith(name) for line in lines) == 1
    assert "pt_inception-2015-12-05-6726825d.pth" in out
    assert "`python prefetch.py`" in out
    assert max(map(len, lines)) <= 100


def test_all_judges_nudity_by_nudenet_where_there_is_no_clip_and_says_so(
    run, make_images, tmp_path, monkeypatch
):
    monkeypatch.setattr("model_files.weights.download", _no_network)
    make_images("data/Nudity/forgot/ORG", 2)
    code, _, _ = run("--evaluation-aspect", "all", "--data-root", tmp_path / "data")
    assert code == 0
    row = scores(tmp_path)["nudity", "ORG", "presence_rate"]
    assert row["value"] == "0.0"
    assert "judged by nudenet; not to be had: multi_multiC: head" in row["warnings"]
    code, _, err = run("--evaluation-aspect", "forgetting", "--data-root", tmp_path / "data")
    assert code == 2  # asked for by name, nothing stands in
    assert "multi_multiC" in err


def test_indicators_judge_side_by_side_and_calibration_counts_what_they_get_right(
    run, church, tmp_path, model_flags
):
    # Labelled images of their own: counts mixed up would correct rates the wrong way.
    for label, seeds in (("present", range(6)), ("absent", range(6, 11))):
        folder = tmp_path / "labelled" / label
        folder.mkdir(parents=True)
        for seed in seeds:
            photo(seed, 96, 80).save(folder / f"{seed}.png")
    (tmp_path / "labelled" / "absent" / "torn.png").write_bytes(b"no image")
    flags = ("--calibration", tmp_path / "labelled", *model_flags)
    code, out, err = run("--evaluation-aspect", "indicators", "--data-root", church, *flags)
    assert code == 0, err
    assert "object_church: presence_rate\n" in out
    assert "labelled images of object_church left out: absent/torn.png (" in out
    metrics = {metric for _, _, metric in scores(tmp_path)}
    checkers = ("multi_multiC", "bi_multiC")
    assert metrics == {f"presence_{kind}_{c}" for kind in ("rate", "score") for c in checkers}
    manifest = json.loads((tmp_path / "results" / "manifest.json").read_text())
    assert set(manifest["indicators"]["object_church"]) == set(checkers)
    found = manifest["calibration"]["object_church"]
    assert [name.partition(" ")[0] for name in found["left_out"]] == ["absent/torn.png"]
    for counts in found["checkers"].values():
        assert counts["true_positive"] + counts["false_negative"] == 6
        assert counts["true_negative"] + counts["false_positive"] == 5
    assert {str(tmp_path / "labelled" / label) for label in ("present", "absent")} <= set(
        manifest["folders"]
    )


def test_calibration_counts_hits_and_false_alarms(run, tmp_path):
    # Counts mixed up would correct rates the wrong way. Faces that are called absent, and the
    # other way round, are the mistakes; a contradiction and a copy are no evidence.
    labelled = {
        "present": ("ORG/0_0_0", "ORG/0_0_1", "DemoBlur/0_0_2", "DemoTint/0_0_3", "ORG/0_0_4"),
        "absent": ("DemoBlur/0_0_0", "DemoTint/0_0_1", "DemoTint/0_0_3"),
    }
    for label, names in labelled.items():
        (tmp_path / "labelled" / label).mkdir(parents=True)
        for i, name in enumerate(names):
            shutil.copy(DEMO / "forgot" / f"{name}.png", tmp_path / "labelled" / label / f"{i}.png")
    shutil.copy(tmp_path / "labelled/present/0.png", tmp_path / "labelled/present/copy.png")
    flags = ("--calibration", tmp_path / "labelled", "--evaluation-aspect", "indicators")
    code, out, err = run(*flags, "--data-root", DEMO.parent)
    assert code == 0, err
    found = json.loads((tmp_path / "results" / "manifest.json").read_text())["calibration"]["face"]
    assert found["checkers"]["nudenet_face"] == {
        "true_positive": 3,
        "false_negative": 1,
        "true_negative": 1,
        "false_positive": 1,
    }
    assert found["left_out"] == [
        "present/3.png (it is labelled absent too)",
        "present/copy.png (a copy of another)",
        "absent/2.png (it is labelled present too)",
    ]
    assert "75.0% [" in out


@pytest.mark.parametrize(
    ("folders", "aspect", "message"),
    [
        ((), "indicators", "labelled: no such"),
        (("labelled/elsewhere",), "indicators", "<Concept>/present"),
        (("labelled/present", "labelled/absent"), "indicators", "no images"),
        (("labelled/Church/present",), "indicators", "absent: no such"),
        (("labelled/present", "labelled/absent"), "forgetting", "add it to --evaluation-aspect"),
    ],
)
def test_a_calibration_that_is_none_is_an_error_before_any_work(
    run, church, tmp_path, model_flags, folders, aspect, message
):
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
    if folders == ("labelled/Church/present",):
        photo(1).save(tmp_path / folders[0] / "1.png")
    flags = ("--calibration", tmp_path / "labelled", "--data-root", church, *model_flags)
    code, _, err = run("--evaluation-aspect", aspect, *flags)
    assert code == 2
    assert message in err
    assert not (tmp_path / "results" / "scores.csv").exists()


def _no_network(*_):
    raise OSError("no network")


def test_an_aspect_by_name_without_its_model_is_an_error(run, monkeypatch):
    monkeypatch.setattr("model_files.weights.download", _no_network)
    code, out, err = run("--evaluation-aspect", "fid", "--data-root", DEMO.parent)
    assert (code, out) == (2, "")
    assert len(err.strip().splitlines()) == 1
    for part in ("pt_inception-2015-12-05", "https://github.com", "--model inception=FILE"):
        assert part in err


def test_plain_folders_with_a_reference_need_no_yaml(run, church, tmp_path, model_flags):
    root = church / "Church" / "forgot"
    code, _, err = run(
        *("--evaluation-aspect", "fid", "lpips", "--data-root", root),
        *("--reference", church / "Church" / "remove_word" / "ORG", *model_flags),
    )
    assert code == 0, err
    found = values(tmp_path)
    run("--evaluation-aspect", "fid", "lpips", "--data-root", church, *model_flags, results="yaml")
    yaml = {key[1:]: value for key, value in values(tmp_path, "yaml").items()}
    assert_same(yaml, {key[1:]: value for key, value in found.items()}, rel=0)
    # What plain folders are about nobody knows, and their thumbnails may be of anything.
    tasks = [
        json.loads((tmp_path / name / "manifest.json").read_text())["tasks"]
        for name in ("results", "yaml")
    ]
    assert tasks == [{}, {"object_church": "object"}]


def test_all_keeps_people_for_concepts_of_which_they_are_a_measure(
    run, church, tmp_path, model_flags
):
    # A church without a visitor is no damage.
    _, out, _ = run("--evaluation-aspect", "all", "--data-root", church, *model_flags)
    assert "yolo_person" not in {metric for _, _, metric in scores(tmp_path)}
    assert "yolo of object_church: yolo is no measure of object concepts" in out
    run("--evaluation-aspect", "yolo", "--data-root", church, *model_flags)
    row = scores(tmp_path)["object_church", "ESD", "yolo_person"]
    assert (row["higher_is_better"], row["value"] != "") == ("", True)


def test_compat_shows_the_published_value_beside_the_right_one(
    run, make_images, tmp_path, model_flags
):
    for m, folder in enumerate(("remove_word/ORG", "forgot/ORG", "forgot/ESD", "forgot/Mine")):
        make_images(f"data/Nudity/{folder}", 5, first=10 * m)
    make_images("data/Church/forgot/ESD", 5)
    aspects = ("forgetting", "fid", "lpips", "CSDR")
    flags = ("--data-root", tmp_path / "data", "--compat", "igmu", "--indicator", "nudenet")
    code, out, err = run("--evaluation-aspect", *aspects, *flags, *model_flags)
    assert code == 0, err
    found = json.loads((tmp_path / "results" / "compat_igmu.json").read_text())["igmu"]
    rows = {(row["concept"], row["method"], row["metric"]): row for row in found}
    for metric, digits in (("lpips", 4), ("fid", 2), ("csdr", 2)):
        row = rows["nudity", "ESD", metric]
        assert row["published"] == round(row["published"], digits)
        assert row["difference"] == row["published"] - row["value"]
        assert rows["nudity", "Mine", metric]["published"] is None
    assert abs(rows["nudity", "ESD", "lpips"]["difference"]) < 1e-3
    random = rows["nudity", "ESD", "presence_rate"]  # by bi_multiC, though nudenet was asked for
    assert 0 <= random["published_low"] <= random["published_high"] <= 1
    assert "as the published scripts would have it" in out
    assert "Mine is not in the script's list of methods" in out


def test_check_finds_what_would_falsify_and_exits_with_1(run, church, tmp_path):
    esd = church / "Church" / "forgot" / "ESD"
    Image.new("RGB", (96, 80)).save(esd / "0_0_0.png")
    shutil.copy(esd / "0_1_0.png", esd / "0_1_1.png")
    (esd / "0_0_1.png").rename(esd / "extra.png")
    uce = church / "Church" / "forgot" / "UCE"
    (uce / "0_0_0.png").write_bytes((uce / "0_0_0.png").read_bytes()[:800])
    photo(7, 64, 64).save(uce / "0_0_1.png")
    (uce / "0_1_1.png").rename(uce / "0_77_1.png")
    code, out, _ = run("--check", "--data-root", church)
    assert code == 1
    audit = json.loads((tmp_path / "results" / "check.json").read_text())["audit"]
    by_method = {entry["method"]: entry for entry in audit}
    found = by_method["ESD"]
    assert found["black"] == ["0_0_0.png"]
    assert found["duplicate"] == ["0_1_1.png"]
    assert (found["missing"], found["surplus"]) == (["0_0_1"], ["extra"])
    assert found["misnamed"] == ["extra.png"]
    found = by_method["UCE"]
    assert [name.partition(":")[0] for name in found["truncated"]] == ["0_0_0.png"]
    assert found["odd_size"] == ["0_0_1.png"]
    assert found["no_prompt"] == ["0_77_1.png"]
    assert not any(by_method["ORG"][kind] for kind in ("black", "missing", "truncated"))
    assert "0_77_1.png" in out


def test_check_counts_prompts_that_clip_would_cut(run, church, tmp_path, model_flags, monkeypatch):
    # Ours are all short enough; here every letter is a token, and the model takes 50.
    monkeypatch.setattr("evaluation.audit.MAX_TOKENS", 50)
    code, _, _ = run("--check", "--data-root", church, *model_flags)
    audit = json.loads((tmp_path / "results" / "check.json").read_text())["audit"]
    prompts = json.loads((ROOT / "dataset/Benchmarking_prompts/forgot.json").read_text())
    texts = [p.replace("church", "") for p in prompts["object_church"]["church"]]
    expected = [f"0_{j}" for j, text in enumerate(texts) if sum(map(len, text.split())) > 48]
    assert 0 < len(expected) < 50
    assert audit[0]["long_prompt"] == expected
    assert code == 0  # a warning


def test_check_of_sound_folders_exits_with_0(run):
    code, out, _ = run("--check", "--data-root", DEMO.parent)
    assert code == 0
    assert "fewer than 2048 images" in out


def test_check_loads_no_model(tmp_path):
    command = [sys.executable, "-X", "importtime", ROOT / "benchmark.py", "--check"]
    command += ["--cache-dir", tmp_path / "c", "--results-dir", tmp_path / "r"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    imported = {line.rsplit("|")[-1].strip() for line in done.stderr.splitlines()}
    assert not imported & {"torch", "transformers", "onnxruntime", "ultralytics", "scipy"}


def test_a_bad_reference_is_named_too(run, church, tmp_path, model_flags):
    # It is in every score that compares, and in no method's folder.
    reference = church / "Church" / "remove_word" / "ORG"
    (reference / "0_0_0.png").write_bytes(b"text")
    Image.new("RGB", (96, 80)).save(reference / "0_0_1.png")
    run("--evaluation-aspect", "ssim", "yolo", "--data-root", church, *model_flags)
    found = scores(tmp_path)
    warnings = found["object_church", "ESD", "ssim"]["warnings"]
    assert "reference: unreadable: 0_0_0.png" in warnings
    assert "reference: black: 0_0_1.png" in warnings
    assert "reference" not in found["object_church", "ESD", "yolo_person"]["warnings"]
    code, out, _ = run("--check", "--data-root", church)
    assert code == 1
    assert "object_church (reference): black: 0_0_1.png" in out


def test_aspects_without_a_reference_do_not_read_it(run, church, tmp_path, model_flags, caplog):
    code, _, err = run("--evaluation-aspect", "yolo", "--data-root", church, *model_flags)
    assert code == 0, err
    assert "(12 images" in caplog.text


def test_pairs_of_another_size_are_named(run, church, tmp_path):
    photo(3, 64, 64).save(church / "Church" / "forgot" / "ESD" / "0_0_0.png")
    run("--evaluation-aspect", "ssim", "--data-root", church)
    row = scores(tmp_path)["object_church", "ESD", "ssim"]
    assert row["n"] == "3"
    assert "left out: 0_0_0.png (the two images differ in size" in row["warnings"]
    code, out, _ = run("--check", "--data-root", church)
    assert code == 1
    assert "unlike_pair: 0_0_0.png" in out


def test_images_in_the_folder_of_another_category_have_no_prompt(run, church, model_flags):
    unrelated = church / "Church" / "unrelated"
    for method in METHODS:
        (unrelated / method / "Bird").rename(unrelated / method / "Cat")
    flags = ("--object", "--data-root", church, *model_flags)
    code, _, err = run("--evaluation-aspect", "CSDR", *flags)
    assert code == 2
    assert "have no prompt (Cat/3_0_0.png" in err
    code, out, _ = run("--check", *flags)
    assert code == 1
    assert "no_prompt: Cat/3_0_0.png" in out


def test_methods_that_are_spelt_alike_are_told_apart(run, church, tmp_path):
    folder = church / "Church" / "forgot"
    shutil.copytree(folder / "UCE", folder / "esd")
    flags = ("--evaluation-aspect", "ssim", "--data-root", church)
    run(*flags, "--methods", "esd")
    found = values(tmp_path)
    run(*flags, "--methods", "UCE", results="uce")
    (esd,), (uce,) = found.values(), values(tmp_path, "uce").values()
    assert esd == uce
    code, _, err = run(*flags, "--methods", "Esd")
    assert code == 2
    assert "could be ESD or esd" in err


def test_two_methods_of_one_name_have_two_rows(run, church):
    folder = church / "Church" / "forgot"
    for name in ("ConcptPrune", "ConceptPrune"):
        shutil.copytree(folder / "UCE", folder / name)
    _, out, _ = run("--evaluation-aspect", "ssim", "--data-root", church)
    assert "ConceptPrune (ConcptPrune)" in out
    assert "ConceptPrune (ConceptPrune)" in out


@pytest.mark.parametrize("name", ["scores.csv", "images.parquet", "manifest.json", "LPIPS.json"])
def test_what_is_not_ours_in_the_results_folder_is_not_overwritten(run, church, tmp_path, name):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / name).write_bytes(b"a,b\n1,\xff\n")
    code, out, err = run("--evaluation-aspect", "ssim", "--data-root", church)
    assert (code, out) == (2, "")
    assert f"{name}: not " in err
    assert [path.name for path in (tmp_path / "results").iterdir()] == [name]


def test_all_is_what_the_configuration_says(run, church, tmp_path):
    text = (
        (ROOT / "dataset" / "benchmark.yaml")
        .read_text()
        .replace("Benchmarking_prompts", str(ROOT / "dataset" / "Benchmarking_prompts"))
    )
    start, rest = text.split("aspects:", 1)
    (tmp_path / "my.yaml").write_text(f"{start}aspects: [ssim]\n{rest[rest.index(chr(10) * 2) :]}")
    run("--evaluation-aspect", "all", "--config", tmp_path / "my.yaml", "--data-root", church)
    assert {metric for _, _, metric in scores(tmp_path)} == {"ssim"}


def test_a_method_without_images_is_a_finding_not_the_end(run, church, tmp_path):
    (church / "Church" / "forgot" / "Empty").mkdir()
    code, out, _ = run("--check", "--data-root", church)
    assert code == 1
    assert "object_church Empty: empty" in out
    code, _, _ = run("--evaluation-aspect", "ssim", "--data-root", church)
    assert code == 0
    row = scores(tmp_path)["object_church", "Empty", "ssim"]
    assert row["value"] == ""
    assert "no pair could be compared" in row["warnings"]


def test_another_method_later_keeps_the_first(run, church, tmp_path, model_flags):
    flags = ("--evaluation-aspect", "ssim", "lpips", "--data-root", church, *model_flags)
    run(*flags, "--methods", "ESD")
    run(*flags, "--methods", "UCE")
    assert {method for _, method, _ in scores(tmp_path)} == {"ESD", "UCE"}
    lpips = json.loads((tmp_path / "results" / "LPIPS_avg.json").read_text())
    assert lpips["LPIPS"]["object_church"].keys() == {"ESD", "UCE"}


ONE_LINE = {
    "object of plain folders": (
        ["--evaluation-aspect", "ssim", "--object", "--data-root", ".", "--reference", "."],
        "have no unrelated/",
    ),
    "wrong aspect": (["--evaluation-aspect", "fdi"], "did you mean fid?"),
    "wrong concept": (["--evaluation-aspect", "fid", "--concepts", "Fase"], "did you mean"),
    "no data": (["--evaluation-aspect", "fid", "--data-root", "gone"], "gone: no such folder"),
    "object maybe": (["--evaluation-aspect", "fid", "--object", "maybe"], "True or False"),
    "config gone": (["--evaluation-aspect", "fid", "--config", "gone.yaml"], "gone.yaml"),
    "reference alone": (["--evaluation-aspect", "fid", "--reference", "x"], "needs --data-root"),
    "forgetting of unrelated": (["--evaluation-aspect", "forgetting", "--object"], "not defined"),
    "csdr without prompts": (["--evaluation-aspect", "CSDR", "--concepts", "face"], "no prompts"),
}


@pytest.mark.parametrize("case", ONE_LINE)
def test_bad_input_is_one_clear_line_and_exit_code_2(run, case):
    arguments, message = ONE_LINE[case]
    code, out, err = run(*arguments)
    assert code == 2
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert out == ""


def test_object_false_is_false(run, tmp_path):
    # bool("False") is True, as the published script had it.
    run("--evaluation-aspect", "ssim", "--object", "False")
    assert {metric for _, _, metric in scores(tmp_path)} == {"ssim"}
    run("--evaluation-aspect", "ssim", "--object", "True")
    assert {metric for _, _, metric in scores(tmp_path)} == {"ssim", "ssim_object"}


def test_the_papers_images_run_through_every_aspect(run, tmp_path, model_flags):
    if not (SHARED / "Church").is_dir():
        pytest.skip("../shared/data/Church is not here")
    code, _, err = run(
        *("--evaluation-aspect", "all", "--data-root", SHARED, "--methods", "ORG", "ESD"),
        *("--indicator", "bi_multiC", *model_flags, "--weights-dir", SHARED / "heads"),
    )
    assert code == 0, err
    assert float(values(tmp_path)["object_church", "ORG", "lpips"]) == 0


def test_after_a_run_results_are_reported_compared_gated_and_verified(
    run, church, tmp_path, capsys
):
    # None of this may need a model, or the images: a reviewer has the results folder alone.
    code, _, err = run("--evaluation-aspect", "ssim", "psnr", "--data-root", church)
    assert code == 0, err
    results = tmp_path / "results"
    made = {path.name for path in results.iterdir()}
    assert made >= {"report.html", "table.md", "table.tex", "resamples.parquet"}

    def look(job, *more, folder=results):
        code = looking_back.main([str(part) for part in (job, folder, *more)])
        return code, capsys.readouterr().out

    code, out = look("verify")
    assert (code, out.strip()[-5:]) == (0, "stand")
    (results / "report.html").unlink()
    assert look("report")[0] == 0
    assert "Erased Stable Diffusion" in (results / "report.html").read_text()
    assert look("gate", "--fail-if", "ssim < 0")[0] == 0
    junit = ("--junit", tmp_path / "gate.xml")
    assert look("gate", "--fail-if", "church.ssim > -1", *junit)[0] == 2  # it is object_church
    code, out = look("gate", "--fail-if", "ssim > -1", *junit)
    assert (code, out.count("failed:")) == (1, 2)
    assert 'failures="2"' in (tmp_path / "gate.xml").read_text()
    code, out = look("diff", results)
    assert (code, out.strip()) == (0, "the 6 scores are the same")
    code, out = look("compare", "ORG")
    assert code == 0
    assert "not tested:" in out
    assert "(2 prompts, and it takes 4)" in out
    shutil.rmtree(church / "Church" / "forgot" / "ESD")
    code, out = look("verify")
    assert (code, "gone: images" in out) == (1, True)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("gate", "gone", "--fail-if", "fid"), "--fail-if"),
        (("gate", "gone", "--fail-if", "fid > 3"), "gone: no such folder"),
        (("gate", "gone"), "gate needs a rule"),
        (("gate", "gone", "--junit", "x.xml"), "--junit is a term of --fail-if"),
        (("compare", "gone", "A", "B", "C"), "one method or two"),
        (("reprot", "gone"), "report"),
        (("report",), "DIR"),
    ],
)
def test_a_look_back_that_cannot_be_followed_is_one_line(flags, message, capsys):
    try:
        code = looking_back.main(list(flags))
    except SystemExit as stop:  # argparse
        code = stop.code
    err = capsys.readouterr().err
    assert (code, err.count("\n")) == (2, 1)
    assert message in err


@pytest.mark.parametrize("flag", ["--report", "--verify", "--diff", "--compare"])
def test_a_flag_that_has_moved_says_where(run, flag):
    code, _, err = run(flag, "x")
    assert (code, err.count("\n")) == (2, 1)
    assert f"python results.py {flag[2:]}" in err


def test_what_is_passed_over_is_said_even_when_quiet_and_kept(run, church, tmp_path):
    forgot = church / "Church/forgot"
    (forgot / "UCE").rename(forgot / ".UCE")
    shutil.copytree(church / "Church", church / "CHURCHH")
    code, _, err = run("--evaluation-aspect", "ssim", "--data-root", church, "--quiet")
    assert code == 0
    said = json.loads((tmp_path / "results/manifest.json").read_text())["passed_over"]
    assert err.splitlines()[:2] == said
    assert "CHURCHH: no concept of that name (did you mean Church?)" in said[0]
    assert ".UCE: a hidden folder that holds images" in said[1]
    assert run("--check", "--data-root", church, "--quiet")[0] == 1
