"""Settings of Sphinx. `nbsp_lib/artifact/report.py` lays out the sources and calls it. Nothing depends on a date or a network."""

from docutils.nodes import SkipNode
from latex2mathml.converter import convert

project = "NBSP"
html_title = "NBSP"
extensions = ["myst_nb"]
nb_execution_mode = "off"  # the pipeline has executed them
nb_render_markdown_format = "myst"
nb_ipywidgets_js = {}  # a widget lives only with its kernel, and its script would come from a network
nb_code_prompt_show = nb_code_prompt_hide = "code"
myst_enable_extensions = ["attrs_inline", "colon_fence", "dollarmath"]
myst_heading_anchors = 4
myst_dmath_allow_digits = False
highlight_language = "text"
suppress_warnings = ["myst.header", "mystnb.mime_type"]  # a page may begin below its title; outputs no browser draws

html_theme = "sphinx_book_theme"
html_theme_options = {
    "collapse_navigation": False,
    "footer_content_items": [],
    "navbar_persistent": [],  # the search field stands in the sidebar
    "navigation_depth": 2,
    "show_navbar_depth": 1,
    "show_toc_level": 2,
    "use_download_button": True,
    "use_fullscreen_button": False,
}
html_context = {"default_mode": "auto"}
html_math_renderer = "mathml"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_sourcelink_suffix = ""
html_last_updated_fmt = None
html_show_copyright = html_show_sphinx = False
html_use_index = html_domain_indices = False


def inline(writer, node):
    writer.body.append(convert(node.astext()))
    raise SkipNode


def block(writer, node):
    writer.body.append(f'<div class="formula">{convert(node.astext(), display="block")}</div>\n')
    raise SkipNode


def setup(app):
    """Formulas become MathML, which browsers draw without a script."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
