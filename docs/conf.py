"""How the manual is built: ``make docs``, without the network, warnings are errors."""

import sys
from importlib.metadata import version as installed
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent / "extensions")]

project = "Tilth"
author = copyright = "The Tilth developers"
version = release = installed("tilth")

extensions = [
    "sphinx.ext.autodoc",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
    # In docs/extensions:
    "mathml",
    "outputs",
    "reference",
    "tables",
]
exclude_patterns = ["_build", "extensions", "**sg_execution_times.rst"]

# Pages
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
html_math_renderer = "mathml"

# Reference: numpydoc gives the sections, the names of Python are links.
autodoc_member_order = "bysource"
autodoc_typehints = "none"
numpydoc_show_class_members = False
default_role = "py:obj"

# Gallery: every script in examples/ is run.
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    "image_scrapers": ("gallery_images.scrape",),
    "abort_on_example_error": True,
    "capture_repr": (),
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "remove_config_comments": True,
    "doc_module": ("tilth",),
    "backreferences_dir": None,
}

# Look
html_theme = "pydata_sphinx_theme"
html_title = "Tilth"
html_static_path = ["_static"]
html_css_files = ["tilth.css"]
html_favicon = "_static/mark.svg"
html_logo = "_static/mark.svg"
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "Tilth"},
    "navbar_align": "left",
    "header_links_before_dropdown": 7,
    "show_prev_next": False,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
    "secondary_sidebar_items": ["page-toc"],
}
# Pages without pages below them need no navigation beside them.
_alone = "index quickstart concepts studies commands datasets benchmarks developer"
html_sidebars = {page: [] for page in _alone.split()}
