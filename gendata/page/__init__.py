"""A page made of sections: one HTML file, no script, no request, good on paper and on a phone."""

from gendata.page.render import render_page, write_page

__all__ = ["render_page", "write_page"]
