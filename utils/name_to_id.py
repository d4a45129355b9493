"""Class tables of the published ``multi_multiC`` heads, and how names are compared.

The ids are those the heads were trained with (IGMU, https://github.com/ryliu68/IGMU, commit
21e9cf9, ``utils/name_to_id.py``); the tables keep their published names.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping


def _ids(*names: str) -> dict[str, int]:
    return {name: i for i, name in enumerate(names)}


Nudity_name_to_id = _ids("nude", "safe")

# fmt: off
Object_name_to_id = _ids(
    "English_springer", "French_horn", "cassette_player", "chain_saw", "church", "garbage_truck",
    "gas_pump", "golf_ball", "parachute", "tench", "other",
)

Style_name_to_id = _ids(
    "realistic-styleless", "boris-kustodiev", "camille-pissarro", "childe-hassam",
    "claude-monet", "edgar-degas", "eugene-boudin", "gustave-dore",
    "ilya-repin", "ivan-aivazovsky", "ivan-shishkin", "john-singer-sargent",
    "marc-chagall", "martiros-saryan", "nicholas-roerich", "pablo-picasso",
    "paul-cezanne", "pierre-auguste-renoir", "pyotr-konchalovsky", "raphael-kirchner",
    "rembrandt", "salvador-dali", "vincent-van-gogh", "hieronymus-bosch",
    "leonardo-da-vinci", "albrecht-durer", "edouard-cortes", "sam-francis",
    "juan-gris", "lucas-cranach-the-elder", "paul-gauguin", "konstantin-makovsky",
    "egon-schiele", "thomas-eakins", "gustave-moreau", "francisco-goya",
    "edvard-munch", "henri-matisse", "fra-angelico", "maxime-maufra",
    "jan-matejko", "mstislav-dobuzhinsky", "alfred-sisley", "mary-cassatt",
    "gustave-loiseau", "fernando-botero", "zinaida-serebriakova", "georges-seurat",
    "isaac-levitan", "joaquin-sorolla", "jacek-malczewski", "berthe-morisot",
    "andy-warhol", "arkhip-kuindzhi", "niko-pirosmani", "james-tissot",
    "vasily-polenov", "valentin-serov", "pietro-perugino", "pierre-bonnard",
    "ferdinand-hodler", "bartolome-esteban-murillo", "giovanni-boldini", "henri-martin",
    "gustav-klimt", "vasily-perov", "odilon-redon", "tintoretto",
    "gene-davis", "raphael", "john-henry-twachtman", "henri-de-toulouse-lautrec",
    "antoine-blanchard", "david-burliuk", "camille-corot", "konstantin-korovin",
    "ivan-bilibin", "titian", "maurice-prendergast", "edouard-manet",
    "peter-paul-rubens", "aubrey-beardsley", "paolo-veronese", "joshua-reynolds",
    "kuzma-petrov-vodkin", "gustave-caillebotte", "lucian-freud", "michelangelo",
    "dante-gabriel-rossetti", "felix-vallotton", "nikolay-bogdanov-belsky", "georges-braque",
    "vasily-surikov", "fernand-leger", "konstantin-somov", "katsushika-hokusai",
    "sir-lawrence-alma-tadema", "vasily-vereshchagin", "ernst-ludwig-kirchner", "mikhail-vrubel",
    "orest-kiprensky", "william-merritt-chase", "aleksey-savrasov", "hans-memling",
    "amedeo-modigliani", "ivan-kramskoy", "utagawa-kuniyoshi", "gustave-courbet",
    "william-turner", "theo-van-rysselberghe", "joseph-wright", "edward-burne-jones",
    "koloman-moser", "viktor-vasnetsov", "anthony-van-dyck", "raoul-dufy",
    "frans-hals", "hans-holbein-the-younger", "ilya-mashkov", "henri-fantin-latour",
    "m.c.-escher", "el-greco", "mikalojus-ciurlionis", "james-mcneill-whistler",
    "karl-bryullov", "jacob-jordaens", "thomas-gainsborough", "eugene-delacroix",
    "canaletto",
)
# fmt: on

NAME_TO_ID = {
    "Nudity": Nudity_name_to_id,
    "Object": Object_name_to_id,
    "Style": Style_name_to_id,
}

# The class of each table that means "none of the concepts".
NEUTRAL_CLASS = {"Nudity": "safe", "Object": "other", "Style": "realistic-styleless"}

# The published table spells this artist in mis-decoded UTF-8.
_PUBLISHED_MISSPELLING = {"joaqua\N{SOFT HYPHEN}nsorolla": "joaquinsorolla"}


def normalise(name: str) -> str:
    """Return the form in which names are compared: no case, accents, spaces, ``_`` or ``-``.

    >>> normalise("English Springer") == normalise("english_springer")
    True
    >>> normalise("Joaqu\u00edn Sorolla") == normalise("joaqu\u00e3\u00adn-sorolla")
    True
    """
    folded = unicodedata.normalize("NFKD", name).casefold()
    plain = "".join(c for c in folded if not unicodedata.combining(c) and c not in " _-")
    return _PUBLISHED_MISSPELLING.get(plain, plain)


def alike(name: str, known: Mapping[str, str]) -> list[str]:
    """Return what a name may stand for: its own entry, or all that are spelt like it.

    Args:
        known: accepted name -> what it stands for.
    """
    if name in known:
        return [known[name]]
    wanted = normalise(name)
    return sorted({meant for entry, meant in known.items() if normalise(entry) == wanted})


def match(name: str, known: Iterable[str]) -> str | None:
    """Return the entry of ``known`` that is ``name`` but for case, spaces, ``_`` and ``-``.

    One that is spelt just so comes before others that are the same otherwise.
    """
    known = list(known)
    if name in known:
        return name
    wanted = normalise(name)
    return next((entry for entry in known if normalise(entry) == wanted), None)
