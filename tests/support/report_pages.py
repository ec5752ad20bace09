"""A report's page, read as a browser would."""

from html.parser import HTMLParser


class Page(HTMLParser):
    """Tags, attributes and text of a page; notes tags that do not close in order."""

    VOID = ("meta", "img", "br", "rect", "line", "circle", "path", "polyline")

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.text, self.crossed = [], [], [], "", []
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
        self.text += data if "style" not in self.open else ""
