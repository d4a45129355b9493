"""Make the demo images, in the published folder layout, from photographs in scikit-image.

    python dataset/make_demo.py [FOLDER]

All of them may be redistributed: `astronaut` (Eileen Collins) is by NASA, public domain;
`coffee` (Rachel Michetti), `chelsea` (Stefan van der Walt) and `rocket` (SpaceX) are CC0 or
public domain. The "methods" are stand-ins made with a filter and named after it: they show a
concept (a face) that stays and one that goes, not what any published method does.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

SIZE = 224
FACE = (165, 40, 285, 210)  # of the astronaut, in the 512 x 512 photograph
PORTRAITS = ((0, 0, 420), (40, 0, 380), (0, 10, 450), (60, 20, 360), (20, 0, 480))  # x, y, edge
SCENES = ((0, 210, 290), (200, 210, 300), (290, 0, 220), (310, 120, 200), (30, 230, 280))
OBJECTS = {"Cat": "chelsea", "Coffee": "coffee", "Rocket": "rocket"}


def blur_face(image: Image.Image, face: tuple[int, ...]) -> Image.Image:
    """Replace the face by a strong blur of it."""
    return _on_face(image, face, lambda part: part.filter(ImageFilter.GaussianBlur(24)))


def pixelate_face(image: Image.Image, face: tuple[int, ...]) -> Image.Image:
    """Replace the face by 4 x 5 squares."""
    return _on_face(
        image, face, lambda part: part.resize((4, 5)).resize(part.size, Image.Resampling.NEAREST)
    )


def tint(image: Image.Image, face: tuple[int, ...]) -> Image.Image:
    """Change the colours only: the face stays."""
    return ImageEnhance.Color(image).enhance(0.4)


METHODS: dict[str, Callable[[Image.Image, tuple[int, ...]], Image.Image]] = {
    "ORG": lambda image, face: image,
    "DemoBlur": blur_face,
    "DemoPixelate": pixelate_face,
    "DemoTint": tint,
}
# What the stand-ins do to pictures without a face: a side effect to be measured.
SIDE_EFFECTS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "ORG": lambda image: image,
    "DemoBlur": lambda image: image.filter(ImageFilter.GaussianBlur(1.5)),
    "DemoPixelate": lambda image: image.resize((112, 112)).resize((SIZE, SIZE)),
    "DemoTint": lambda image: ImageEnhance.Color(image).enhance(0.4),
}


def _on_face(
    image: Image.Image, face: tuple[int, ...], change: Callable[[Image.Image], Image.Image]
) -> Image.Image:
    mask = Image.new("L", image.size)
    ImageDraw.Draw(mask).ellipse(face, fill=255)
    changed = image.copy()
    changed.paste(change(image.crop(face)), face[:2])
    return Image.composite(changed, image, mask)


def make(root: Path) -> int:
    """Write the demo below ``root``; returns the number of images."""
    from skimage import data

    astronaut = Image.fromarray(data.astronaut())
    made = 0

    def save(image: Image.Image, *where: str) -> None:
        nonlocal made
        path = root.joinpath("Face", *where)
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, optimize=True)
        made += 1

    for method, change in METHODS.items():
        for k, (x, y, edge) in enumerate(PORTRAITS):
            whole = change(astronaut, FACE)
            save(_square(whole, x, y, edge), "forgot", method, f"0_0_{k}.png")
    for k, (x, y, edge) in enumerate(SCENES):
        save(_square(astronaut, x, y, edge), "remove_word", "ORG", f"0_0_{k}.png")
    for i, (category, name) in enumerate(OBJECTS.items(), start=1):
        photo = Image.fromarray(getattr(data, name)())
        edge = min(photo.size)
        for k in range(2):
            image = _square(photo, k * (photo.width - edge), 0, edge)
            for method, change in SIDE_EFFECTS.items():
                save(change(image), "unrelated", method, category, f"{i}_0_{k}.png")
    return made


def _square(image: Image.Image, x: int, y: int, edge: int) -> Image.Image:
    return image.crop((x, y, x + edge, y + edge)).resize((SIZE, SIZE), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    default = Path(__file__).parent / "Benchmarking_images_demo"
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    print(f"{make(target)} images in {target}")
