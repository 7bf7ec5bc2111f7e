"""Sets equations as MathML when the manual is built: no script, font or network."""

import html
from xml.etree import ElementTree

from docutils import nodes
from latex2mathml.converter import convert_to_element
from sphinx.application import Sphinx
from sphinx.util import logging

_LOGGER = logging.getLogger(__name__)
#: Operators that stand close to their neighbours in the mathematics of this manual.
_TIGHT = {"/", "|", "'"}


def mathml(latex: str, display: str) -> str:
    """Return an equation as MathML, with the LaTeX beside it for copying.

    Parameters
    ----------
    latex : str
        Source, without dollars.
    display : {"inline", "block"}
        In the line or on its own.
    """
    math = convert_to_element(latex, display=display)
    for element in math.iter():
        element.text = element.text and html.unescape(element.text)
    for parent in list(math.iter()):
        _space(parent)
    math.set("alttext", " ".join(latex.split()))
    return ElementTree.tostring(math, encoding="unicode")


def _space(parent: ElementTree.Element) -> None:
    """Repair the spaces that the converter leaves to the browser."""
    children = list(parent)
    for i, child in enumerate(children):
        tag, text = child.tag, (child.text or "").strip()
        if tag == "mo" and not text and not len(child):
            parent.remove(child)  # of \left. : an empty sign still takes space
        elif tag == "mo" and text in _TIGHT:
            child.set("lspace", "0")
            child.set("rspace", "0")
        elif tag == "mi" and len(text) > 1 and i + 1 < len(children):
            following = (children[i + 1].text or "").strip()
            if parent.tag == "mrow" and following not in "([,)":
                space = ElementTree.Element("mspace", width="0.17em")
                parent.insert(list(parent).index(child) + 1, space)


def _visit(self, node: nodes.Element, display: str) -> None:
    try:
        equation = mathml(node.astext(), display)
    except Exception as error:
        _LOGGER.warning("cannot set %r: %s", node.astext(), error, location=node)
        equation = f"<code>{html.escape(node.astext())}</code>"
    if display == "block":
        equation = f'<div class="equation">{equation}</div>'
    self.body.append(equation)
    raise nodes.SkipNode


def _inline(self, node: nodes.math) -> None:
    _visit(self, node, "inline")


def _block(self, node: nodes.math_block) -> None:
    _visit(self, node, "block")


def setup(app: Sphinx) -> dict:
    """Register the renderer under the name ``mathml``."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
