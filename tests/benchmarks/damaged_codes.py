"""How much of the corpus of damaged pictures is read, by the counter's page and by a decoder that we did not write, in
the same run; and that none of it is ever read as another code. The table by size and damage goes to `build/`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.benchmarks.measure import row
from tests.qr import readers
from tests.qr.damage import DAMAGES, SIZES, corpus
from tests.require import needs_node

TABLE = Path("build/damaged_codes.md")


def run() -> list[dict[str, object]]:
    """One row: the share that the page reads, against zxing-cpp. Raises where a picture became another code."""
    node = needs_node()
    read, reference, of = Counter[tuple[str, int]](), Counter[tuple[str, int]](), Counter[tuple[str, int]]()
    for damage in DAMAGES:
        pictures = [one for one in corpus() if one.damage == damage]
        images = [one.image for one in pictures]
        for shown, page, image in zip(pictures, readers.page(node, images), images, strict=True):
            texts = readers.reference(image)
            wrong = readers.of_another([*page.texts, *texts], shown.texts)
            if wrong or (page.kind == "code" and page.text not in shown.texts):
                raise AssertionError(f"{shown} was read as {wrong or page.text}")
            place = (damage, shown.size)
            of[place] += 1
            read[place] += shown.texts[0] in page.texts
            reference[place] += shown.texts[0] in texts
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text(_table(read, reference, of))
    everything = of.total()
    peer = f"zxing-cpp: {reference.total() / everything:.3f} of {everything}; table in {TABLE}"
    return [row("damaged_codes", read.total() / everything, "share", peer, read.total() / max(1, reference.total()))]


def _table(read: Counter[tuple[str, int]], reference: Counter[tuple[str, int]], of: Counter[tuple[str, int]]) -> str:
    """Markdown: read of how many, by damage and pixels of a module; the last column is all, and zxing-cpp's all."""
    heads = ["Damage", *(f"{size} px" for size in SIZES), "all", "zxing-cpp"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for damage in DAMAGES:
        counts = [f"{read[damage, size]}/{of[damage, size]}" for size in SIZES]
        sums = [sum(counter[damage, size] for size in SIZES) for counter in (read, of, reference)]
        lines.append(f"| `{damage}` | " + " | ".join([*counts, f"{sums[0]}/{sums[1]}", str(sums[2])]) + " |")
    sums_by_size = [f"{sum(read[d, s] for d in DAMAGES)}/{sum(of[d, s] for d in DAMAGES)}" for s in SIZES]
    lines.append(
        "| all | " + " | ".join([*sums_by_size, f"{read.total()}/{of.total()}", str(reference.total())]) + " |"
    )
    return "\n".join(lines) + "\n"
