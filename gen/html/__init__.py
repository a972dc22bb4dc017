"""report.html: the report as one self-contained page, made from report.json and the plan."""

from gatefold.gen.html.files import PAGE, plan_of, refresh_page, write_page
from gatefold.gen.html.page import render

__all__ = ["PAGE", "plan_of", "refresh_page", "render", "write_page"]
