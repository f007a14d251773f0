"""The data sets that ``simplecell data get NAME`` knows: addresses, sizes, checksums, licences.

Sizes and checksums are those that were published with the data or by the catalogues that re-check them: the
CIFAR page, torchvision's and TensorFlow Datasets' checksum lists, fastai's list of sizes. Where no sha256 was
published for the file of today, the md5 is kept (imagewoof).
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field

from simplecell.errors import UserError


@dataclass(frozen=True)
class Remote:
    """A file to fetch: its name, addresses in the order to try, bytes, and "sha256:…" or "md5:…"."""

    name: str
    urls: tuple[str, ...]
    size: int
    checksum: str


@dataclass(frozen=True)
class Known:
    """A data set with a stable public address.

    root: None where ``files`` are the data as they are; else the folder of the one archive that becomes
        the data folder ("" for its top).
    rename: a class's folder → the name it gets.
    note: what one should know before training; empty where there is nothing.
    """

    name: str
    summary: str
    licence: str
    page: str
    files: tuple[Remote, ...]
    root: str | None = None
    rename: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    @property
    def size(self) -> int:
        """Bytes to fetch."""
        return sum(file.size for file in self.files)


def _idx(bases: tuple[str, ...], files: Mapping[str, tuple[int, str]]) -> tuple[Remote, ...]:
    """The four files of a data set in MNIST's layout: bytes and sha256 of each, under any of ``bases``."""
    return tuple(
        Remote(
            f"{stem}-ubyte.gz", tuple(f"{base}{stem}-ubyte.gz" for base in bases), size, f"sha256:{digits}"
        )
        for stem, (size, digits) in files.items()
    )


_CIFAR = ("https://www.cs.toronto.edu/~kriz/", "https://cave.cs.toronto.edu/kriz/")
_FASTAI = "https://s3.amazonaws.com/fast-ai-imageclas/"
_IMAGENET = "pictures from ImageNet: non-commercial research and education"

_ALL = (
    Known(
        name="mnist",
        summary="handwritten digits, 28×28 grey, 10 classes, 60,000 + 10,000",
        licence="CC BY-SA 3.0 (Y. LeCun, C. Cortes, C. Burges)",
        page="http://yann.lecun.com/exdb/mnist/",
        files=_idx(
            (
                "https://ossci-datasets.s3.amazonaws.com/mnist/",
                "https://storage.googleapis.com/cvdf-datasets/mnist/",
            ),
            {
                "train-images-idx3": (
                    9_912_422,
                    "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                ),
                "train-labels-idx1": (
                    28_881,
                    "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                ),
                "t10k-images-idx3": (
                    1_648_877,
                    "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                ),
                "t10k-labels-idx1": (
                    4_542,
                    "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                ),
            },
        ),
    ),
    Known(
        name="fashion-mnist",
        summary="articles of clothing, 28×28 grey, 10 classes, 60,000 + 10,000",
        licence="MIT",
        page="https://github.com/zalandoresearch/fashion-mnist",
        files=_idx(
            (
                "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
                "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
            ),
            {
                "train-images-idx3": (
                    26_421_880,
                    "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                ),
                "train-labels-idx1": (
                    29_515,
                    "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                ),
                "t10k-images-idx3": (
                    4_422_102,
                    "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                ),
                "t10k-labels-idx1": (
                    5_148,
                    "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
                ),
            },
        ),
        note="0 T-shirt, 1 trouser, 2 pullover, 3 dress, 4 coat, 5 sandal, 6 shirt, 7 sneaker, 8 bag, 9 boot",
    ),
    Known(
        name="kmnist",
        summary="cursive Japanese characters (Kuzushiji), 28×28 grey, 10 classes, 60,000 + 10,000",
        licence="CC BY-SA 4.0",
        page="https://github.com/rois-codh/kmnist",
        files=_idx(
            ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
            {
                "train-images-idx3": (
                    18_165_135,
                    "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
                ),
                "train-labels-idx1": (
                    29_497,
                    "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
                ),
                "t10k-images-idx3": (
                    3_041_136,
                    "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
                ),
                "t10k-labels-idx1": (
                    5_120,
                    "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
                ),
            },
        ),
    ),
    Known(
        name="cifar10",
        summary="objects and animals, 32×32 colour, 10 classes, 50,000 + 10,000",
        licence="none stated; the authors ask for a citation (Krizhevsky 2009)",
        page="https://www.cs.toronto.edu/~kriz/cifar.html",
        files=(
            Remote(
                "cifar-10-binary.tar.gz",
                tuple(f"{base}cifar-10-binary.tar.gz" for base in _CIFAR),
                170_052_171,
                "sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            ),
        ),
        root="cifar-10-batches-bin",
    ),
    Known(
        name="cifar100",
        summary="objects and animals, 32×32 colour, 100 classes, 50,000 + 10,000",
        licence="none stated; the authors ask for a citation (Krizhevsky 2009)",
        page="https://www.cs.toronto.edu/~kriz/cifar.html",
        files=(
            Remote(
                "cifar-100-binary.tar.gz",
                tuple(f"{base}cifar-100-binary.tar.gz" for base in _CIFAR),
                168_513_733,
                "sha256:58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
            ),
        ),
        root="cifar-100-binary",
    ),
    Known(
        name="cats-vs-dogs",
        summary="photographs of cats and dogs, 2 classes, 25,000",
        licence="CDLA-Permissive-2.0 (Microsoft, Petfinder)",
        page="https://www.microsoft.com/en-us/download/details.aspx?id=54765",
        files=(
            Remote(
                "kagglecatsanddogs_5340.zip",
                (
                    "https://download.microsoft.com/download/3/E/1/"
                    "3E1C3F21-ECDB-4869-8368-6DEBA77B919F/kagglecatsanddogs_5340.zip",
                ),
                824_887_076,
                "sha256:b7974bd00a84a99921f36ee4403f089853777b5ae8d151c76a86e64900334af9",
            ),
        ),
        root="PetImages",
        note="some of its files are broken as published: train with --skip-broken",
    ),
    Known(
        name="imagenette",
        summary="ten easy classes of ImageNet, shorter side 160 px, 9,469 + 3,925",
        licence=_IMAGENET,
        page="https://github.com/fastai/imagenette",
        files=(
            Remote(
                "imagenette2-160.tgz",
                (f"{_FASTAI}imagenette2-160.tgz",),
                99_003_388,
                "sha256:64d0c4859f35a461889e0147755a999a48b49bf38a7e0f9bd27003f10db02fe5",
            ),
        ),
        root="imagenette2-160",
        rename={
            "n01440764": "tench",
            "n02102040": "English springer",
            "n02979186": "cassette player",
            "n03000684": "chain saw",
            "n03028079": "church",
            "n03394916": "French horn",
            "n03417042": "garbage truck",
            "n03425413": "gas pump",
            "n03445777": "golf ball",
            "n03888257": "parachute",
        },
    ),
    Known(
        name="imagewoof",
        summary="ten dog breeds of ImageNet, shorter side 160 px, 9,025 + 3,929",
        licence=_IMAGENET,
        page="https://github.com/fastai/imagenette",
        files=(
            Remote(
                "imagewoof2-160.tgz",
                (f"{_FASTAI}imagewoof2-160.tgz",),
                92_612_825,
                "md5:fcd23cc7dfce8837c95a8f9d63a128b7",
            ),
        ),
        root="imagewoof2-160",
        rename={
            "n02086240": "Shih-Tzu",
            "n02087394": "Rhodesian ridgeback",
            "n02088364": "beagle",
            "n02089973": "English foxhound",
            "n02093754": "Border terrier",
            "n02096294": "Australian terrier",
            "n02099601": "golden retriever",
            "n02105641": "Old English sheepdog",
            "n02111889": "Samoyed",
            "n02115641": "dingo",
        },
    ),
    Known(
        name="flowers",
        summary="photographs of flowers, 5 classes, 3,670",
        licence="CC BY 2.0, photographers named in its LICENSE.txt",
        page="https://www.tensorflow.org/datasets/catalog/tf_flowers",
        files=(
            Remote(
                "flower_photos.tgz",
                (
                    "https://storage.googleapis.com/download.tensorflow.org/example_images/flower_photos.tgz",
                    "http://download.tensorflow.org/example_images/flower_photos.tgz",
                ),
                228_813_984,
                "sha256:4c54ace7911aaffe13a365c34f650e71dd5bf1be0a58b464e5a7183e3e595d9c",
            ),
        ),
        root="flower_photos",
    ),
    Known(
        name="eurosat",
        summary="land use seen by the satellite Sentinel-2, 64×64 colour, 10 classes, 27,000",
        licence="MIT (contains Copernicus Sentinel data)",
        page="https://github.com/phelber/EuroSAT",
        files=(
            Remote(
                "EuroSAT.zip",
                (
                    "https://huggingface.co/datasets/torchgeo/eurosat/resolve/"
                    "c877bcd43f099cd0196738f714544e355477f3fd/EuroSAT.zip",
                    "https://madm.dfki.de/files/sentinel/EuroSAT.zip",
                ),
                94_280_567,
                "sha256:8ebea626349354c5328b142b96d0430e647051f26efc2dc974c843f25ecf70bd",
            ),
        ),
        root="2750",
    ),
)

#: Name → data set.
KNOWN: dict[str, Known] = {known.name: known for known in _ALL}


def find(name: str) -> Known:
    """The data set of that name; raises UserError with the nearest one that there is."""
    if name in KNOWN:
        return KNOWN[name]
    near = difflib.get_close_matches(name.lower(), KNOWN, n=1, cutoff=0.5)
    guess = f"did you mean {near[0]}? " if near else ""
    raise UserError(
        "no data set of this name is known", where=name, remedy=f"{guess}there are {', '.join(KNOWN)}"
    )
