import inspect
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from inputs.images import (
    Picture,
    UnreadableImageError,
    decode,
    decoding_bytes,
    natural_key,
    pair,
    read,
    scan,
)
from tests.conftest import photo
from utils.errors import UserError


def names(paths, folder):
    return [path.relative_to(folder).as_posix() for path in paths]


def test_scan_takes_files_in_natural_order_without_known_companions(tmp_path):
    others = ("notes.json", "run.log", "README", "Thumbs.db", "0_0_0.TXT", ".h.png")
    for name in ("10.png", "2.PNG", "1.jpeg", "3.jfif", *others):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "page").mkdir()  # the published glob took any name that ends in one of .pngje|
    assert names(scan(tmp_path), tmp_path) == ["1.jpeg", "2.PNG", "3.jfif", "10.png"]


def test_a_file_that_is_not_read_is_in_the_list_and_says_why(tmp_path):
    # Left out of the list, a method that lost half its images would be scored on the other half.
    for name in ("0.png", "1.avif", "2.HEIC", "3"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "4").symlink_to(tmp_path / "gone")
    (tmp_path / "5.png").symlink_to("6.png")
    (tmp_path / "6.png").symlink_to("5.png")
    reasons = {}
    for path in scan(tmp_path)[1:]:
        with pytest.raises(UnreadableImageError) as caught:
            read(path)
        reasons[path.name] = str(caught.value)
    assert reasons == {
        "1.avif": "extension .avif is not read: convert it to PNG",
        "2.HEIC": "extension .HEIC is not read: convert it to PNG",
        "3": "no extension, which is not read: convert it to PNG",
        "4": "broken link",
        "5.png": "Too many levels of symbolic links",
        "6.png": "Too many levels of symbolic links",
    }


def test_scan_goes_into_subfolders_only_when_asked(tmp_path):
    (tmp_path / "b").mkdir()
    for name in ("a.png", "b/c.tif"):
        (tmp_path / name).write_bytes(b"x")
    assert names(scan(tmp_path), tmp_path) == ["a.png"]
    assert names(scan(tmp_path, recursive=True), tmp_path) == ["a.png", "b/c.tif"]


def test_a_directory_named_like_an_image_is_listed_and_says_what_it_is(tmp_path):
    (tmp_path / "x.png").mkdir()
    (found,) = scan(tmp_path)
    with pytest.raises(UnreadableImageError, match="is a directory"):
        read(found)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: p / "gone", "no such folder"),
        (lambda p: (p / "f.png").write_bytes(b"") or p / "f.png", "not a folder"),
        (lambda p: p, "no images"),
    ],
)
def test_scan_names_what_is_wrong_with_a_folder(tmp_path, make, message):
    with pytest.raises(UserError, match=message):
        scan(make(tmp_path))


def test_scan_points_at_subfolders_that_hold_the_images(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.png").write_bytes(b"x")
    with pytest.raises(UserError, match="subfolders hold some: add --recursive"):
        scan(tmp_path)


def test_a_folder_of_other_files_names_their_extensions(tmp_path):
    for name in ("0.avif", "1.avif", "2.heic"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(UserError, match=r"no images .* not read: \.avif \.heic \(convert to PNG\)"):
        scan(tmp_path)
    assert len(scan(tmp_path, may_be_empty=True)) == 3


def test_folders_nested_more_deeply_than_python_calls_are_listed(tmp_path):
    # os.walk calls itself for each level.
    where = tmp_path.joinpath(*["d"] * 300)
    where.mkdir(parents=True)
    (where / "x.png").touch()
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 100)
    try:
        assert scan(tmp_path, recursive=True) == [where / "x.png"]
    finally:
        sys.setrecursionlimit(before)


def test_a_folder_that_cannot_be_listed_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "a\rb").mkdir()
    original = os.scandir

    def refused(where):
        if "a\rb" in str(where):
            raise PermissionError(13, "Permission denied", str(where))
        return original(where)

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(UserError, match=r"a\\rb: cannot be listed \(Permission denied\)"):
        scan(tmp_path, recursive=True)


@pytest.mark.parametrize("recursive", [True, False])
def test_a_loop_of_links_ends(tmp_path, recursive):
    # Two links to the parent make 2^40 paths.
    (tmp_path / "sub").mkdir()
    for name in "ab":
        (tmp_path / "sub" / name).symlink_to(tmp_path)
    (tmp_path / "x.png").write_bytes(b"x")
    assert names(scan(tmp_path, recursive=recursive), tmp_path) == ["x.png"]
    (tmp_path / "x.png").unlink()
    with pytest.raises(UserError, match="no images"):
        scan(tmp_path, recursive=recursive)


def test_natural_key_orders_mixed_names():
    # "10" < "a" must not raise: digits and letters compare by kind.
    assert sorted(["b2", "b10", "10", "a", "9"], key=natural_key) == ["9", "10", "a", "b2", "b10"]


def saved(image, tmp_path, name, **options):
    path = tmp_path / name
    image.save(path, **options)
    return path.read_bytes()


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "RGBA", "LA", "CMYK"])
def test_every_mode_gives_what_pil_converts_to_rgb(tmp_path, mode):
    # The reference libraries read with convert("RGB"); anything else shifts every score.
    image = photo(1).convert("L" if mode == "LA" else "RGB").convert(mode)
    data = saved(image, tmp_path, "x.tif" if mode == "CMYK" else "x.png")
    (tmp_path / "again").write_bytes(data)
    with Image.open(tmp_path / "again") as reference:
        expected = np.asarray(reference.convert("RGB"))
    np.testing.assert_array_equal(np.asarray(decode(data).rgb), expected)


def test_16_bit_grey_keeps_its_high_byte(tmp_path):
    # PIL alone clips 256..65535 to white.
    deep = np.linspace(0, 65535, 64 * 48).reshape(48, 64).astype(np.uint16)
    data = saved(Image.fromarray(deep), tmp_path, "x.png")
    np.testing.assert_array_equal(np.asarray(decode(data).rgb)[..., 0], deep >> 8)


@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.webp", "x.bmp", "x.tif", "x.gif"])
def test_every_format_is_read(tmp_path, name):
    assert decode(saved(photo(2), tmp_path, name)).rgb.size == (64, 48)


def test_one_pixel_is_an_image(tmp_path):
    assert decode(saved(photo(3, 1, 1), tmp_path, "x.png")).rgb.size == (1, 1)


def test_exif_orientation_turns_upright_but_not_rgb(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = decode(saved(photo(4), tmp_path, "x.jpg", exif=exif))
    assert (picture.orientation, picture.rgb.size, picture.upright.size) == (6, (64, 48), (48, 64))


def test_the_arrays_of_a_picture_are_one_where_nothing_is_turned():
    # Four networks take them: a copy each is half a gigabyte of a large image.
    picture = Picture(photo(1))
    assert picture.upright_pixels is picture.pixels
    turned = Picture(photo(1), orientation=6)
    np.testing.assert_array_equal(turned.upright_pixels, np.asarray(turned.upright))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("deep", [False, True])
def test_upright_is_pils_transpose(tmp_path, orientation, deep):
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = photo(4).convert("L")
    if deep:  # made anew from its samples, which must not lose the orientation
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    data = saved(image, tmp_path, "x.png", exif=exif)
    expected = ImageOps.exif_transpose(Image.open(tmp_path / "x.png"))
    ours = np.asarray(decode(data).upright)[..., 0]
    np.testing.assert_array_equal(ours, np.asarray(expected) // (257 if deep else 1))


def test_phone_photo_with_embedded_preview_is_not_an_animation(tmp_path):
    data = saved(photo(5), tmp_path, "x.mpo", save_all=True, append_images=[photo(6)])
    assert decode(data).rgb.size == (64, 48)


def broken(tmp_path):
    whole = saved(photo(7, 256, 256), tmp_path, "whole.png")
    jpeg = saved(photo(7, 256, 256), tmp_path, "whole.jpg")
    frames = {"save_all": True, "append_images": [photo(9)]}
    return {
        "truncated png": (whole[: len(whole) // 2], "truncated|broken"),
        "truncated jpeg": (jpeg[: len(jpeg) // 2], "truncated"),
        "text": (b"hello", "not an image"),
        "animated gif": (saved(photo(8), tmp_path, "a.gif", **frames), "animated"),
        "animated png": (saved(photo(8), tmp_path, "a.png", **frames), "animated"),
        "two pages": (saved(photo(8), tmp_path, "a.tif", **frames), "multi-page"),
        "float": (saved(Image.fromarray(np.ones((4, 4), "f4")), tmp_path, "f.tif"), "no fixed"),
    }


@pytest.mark.parametrize(
    "kind",
    [
        "truncated png",
        "truncated jpeg",
        "text",
        "animated gif",
        "animated png",
        "two pages",
        "float",
    ],
)
def test_what_gives_no_single_image_says_why(tmp_path, kind):
    data, message = broken(tmp_path)[kind]
    with pytest.raises(UnreadableImageError, match=message):
        decode(data)


def test_an_image_of_too_many_pixels_is_refused_by_its_header(tmp_path, monkeypatch):
    # 13,300 x 13,300 grey pixels of 16 bits take two gigabytes before anything can refuse them.
    data = saved(photo(1), tmp_path, "x.png")
    monkeypatch.setattr("inputs.images.MAX_PIXELS", 1000)
    monkeypatch.setattr("inputs.images._to_rgb", None)
    with pytest.raises(UnreadableImageError, match="64x48 pixels, over 1000"):
        decode(data)


def test_a_strip_of_endless_length_is_refused_by_its_header(tmp_path, monkeypatch):
    data = saved(photo(1), tmp_path, "x.png")
    monkeypatch.setattr("inputs.images.MAX_SIDE", 60)
    with pytest.raises(UnreadableImageError, match="64x48 pixels, a side over 60"):
        decode(data)


def test_a_file_of_too_many_bytes_is_not_read(tmp_path, monkeypatch):
    # A hole of 6 GB takes no place on the disk, and all of it in memory.
    with (tmp_path / "x.png").open("wb") as file:
        file.truncate(6 << 30)
    monkeypatch.setattr(Path, "open", None)
    with pytest.raises(UnreadableImageError, match="6442450944 bytes, over 268435456"):
        read(tmp_path / "x.png")


def test_a_link_to_a_file_of_the_system_is_not_read(tmp_path):
    # /proc/kmsg waits for the next message of the kernel.
    if not os.path.exists("/proc/kmsg"):
        pytest.skip("no /proc")
    (tmp_path / "x.png").symlink_to("/proc/kmsg")
    with pytest.raises(UnreadableImageError, match="empty file"):
        read(tmp_path / "x.png")


def test_a_pipe_does_not_hang_the_run(tmp_path):
    os.mkfifo(tmp_path / "x.png")
    with pytest.raises(UnreadableImageError, match="not a regular file"):
        read(tmp_path / "x.png")


def test_other_formats_are_not_opened_whatever_their_name(tmp_path):
    # Pillow's EPS reader starts Ghostscript.
    with pytest.raises(UnreadableImageError, match="not an image"):
        decode(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")


def test_read_names_empty_files_and_broken_links(tmp_path):
    (tmp_path / "empty.png").touch()
    (tmp_path / "link.png").symlink_to(tmp_path / "gone.png")
    for name, message in (("empty.png", "0 bytes"), ("link.png", "broken link")):
        with pytest.raises(UnreadableImageError, match=message):
            read(tmp_path / name)


def test_pairing_is_by_path_without_extension_and_names_the_rest(tmp_path):
    left, right = tmp_path / "ORG", tmp_path / "ESD"
    a = [left / name for name in ("0_0_10.png", "0_0_2.png", "x/0.png", "d.png", "d.jpg")]
    b = [right / name for name in ("x/0.jpg", "0_0_2.PNG", "0_0_7.png", "d.png")]
    found = pair(left, a, right, b)
    assert [(p.name, q.name) for p, q in found.pairs] == [
        ("0_0_2.png", "0_0_2.PNG"),
        ("0.png", "0.jpg"),
    ]
    assert (found.missing, found.surplus, found.ambiguous) == (["0_0_10"], ["0_0_7"], ["d"])


def test_the_memory_of_decoding_is_told_from_the_header(tmp_path):
    photo(1, 30, 20).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    assert decoding_bytes(content) == decoding_bytes(content[:100]) == 13 * 30 * 20
    assert decoding_bytes(b"no image") == 0
