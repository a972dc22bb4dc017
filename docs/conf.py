"""Sphinx's settings of the site that `make docs` builds.

Its source is the whole repository: pages stay where they are, and their links lead to the same
places on the site and in the repository.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools" / "site"))

import gatefold  # noqa: E402

project = "Gatefold"
author = "the authors of Gatefold"
project_copyright = "the authors of Gatefold, Apache-2.0"
version = release = gatefold.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.viewcode", "myst_nb", "directives"]
root_doc = "docs/index"
include_patterns = ["ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "README.md",
                    "SECURITY.md", "docs/*.md", "docs/**/*.md", "models/*.md", "models/**/*.md",
                    "bench/*.md", "bench/**/*.md", "examples/*.md", "examples/**/*.md"]
exclude_patterns = [".*", "build", "out", "tests", "hdl", "gen", "sim", "boards", "src", "typings"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_merge_streams = True
nb_output_stderr = "remove"  # how far a command is
highlight_language = "none"
nitpicky = True

autodoc_typehints = "none"  # docstrings give types with shapes and units
autodoc_member_order = "bysource"

html_theme = "furo"
html_title = f"Gatefold {release}"
html_static_path = ["site.css"]
html_extra_path = [str(ROOT / "build/extra")] if (ROOT / "build/extra").is_dir() else []
html_css_files = ["site.css"]
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#1f5c99", "color-brand-content": "#1f5c99"},
    "dark_css_variables": {"color-brand-primary": "#7fb6e8", "color-brand-content": "#7fb6e8"},
}
html_show_sphinx = False
html_copy_source = False
