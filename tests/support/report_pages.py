"""A report's page, read as a browser would."""

from html.parser import HTMLParser

from toolkit.report.choosing.comparison import compare
from toolkit.report.html import ordered, report_page


def page_of(results, **more):
    """Return the page of results as HTML."""
    return report_page(compare(ordered(results)), **more)


class Page(HTMLParser):
    """Tags, attributes, text and scripts of a page; notes tags that do not close in order."""

    VOID = ("meta", "img", "br", "rect", "line", "circle", "path", "polyline", "input")

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.text, self.crossed = [], [], [], "", []
        self.scripts = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if self.open and self.open[-1] == tag:
            self.open.pop()
        elif tag not in self.VOID:
            self.crossed.append(tag)

    def handle_data(self, data):
        if "script" in self.open:
            self.scripts.append(data)
        elif "style" not in self.open:
            self.text += data
