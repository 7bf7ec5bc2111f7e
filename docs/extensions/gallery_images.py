"""Shows in the gallery the PNG files that an example writes."""

import shutil
from pathlib import Path

from sphinx_gallery.scrapers import figure_rst


def scrape(block, block_vars, gallery_conf) -> str:
    """Move what the block has written beside the script onto its page."""
    folder = Path(block_vars["src_file"]).parent
    paths = block_vars["image_path_iterator"]
    moved = []
    for written in sorted(folder.glob("*.png")):
        moved.append(next(paths))
        shutil.move(written, moved[-1])
    return figure_rst(moved, gallery_conf["src_dir"])
