"""A document of headings, paragraphs, tables, figures and listings, as HTML and as Markdown."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff;
  max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.7rem; line-height: 1.2; } h2 { font-size: 1.3rem; margin-top: 2.2rem; }
h3 { font-size: 1.05rem; margin-top: 1.6rem; }
.table { overflow-x: auto; }
table { border-collapse: collapse; margin: 0.8rem 0; font-size: 0.92rem;
  font-variant-numeric: tabular-nums; border-top: 2px solid #1a1a1a;
  border-bottom: 2px solid #1a1a1a; }
caption { caption-side: top; text-align: left; font-weight: 600; padding-bottom: 0.3rem; }
th, td { padding: 0.3rem 0.9rem 0.3rem 0; text-align: right; white-space: nowrap; }
th:first-child, td:first-child, .text { text-align: left; }
td.text { white-space: normal; }
thead th { border-bottom: 1px solid #1a1a1a; }
figure { margin: 1rem 0; } img { max-width: 100%; height: auto; }
figcaption, .note { color: #444; font-size: 0.9rem; }
pre { background: #f4f4f4; padding: 0.8rem; overflow-x: auto; font-size: 0.82rem;
  line-height: 1.35; }
summary { cursor: pointer; font-weight: 600; margin-top: 0.8rem; }
@media print { body { margin: 0; max-width: none; font-size: 11pt; }
  figure, table { break-inside: avoid; } }
"""


@dataclass(frozen=True)
class Heading:
    """A heading, level 2 or 3."""

    text: str
    level: int = 2

    def html(self) -> str:
        """Return the heading as HTML."""
        return f"<h{self.level}>{escape(self.text)}</h{self.level}>"

    def markdown(self) -> str:
        """Return the heading as Markdown."""
        return f"{'#' * self.level} {self.text}"


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of plain text."""

    text: str

    def html(self) -> str:
        """Return the paragraph as HTML."""
        return f"<p>{escape(self.text)}</p>"

    def markdown(self) -> str:
        """Return the paragraph as Markdown."""
        return escape_markdown(self.text)


@dataclass(frozen=True)
class Table:
    """A table; the first column and `text_columns` are text, the others numbers."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    text_columns: Sequence[int] = ()

    def html(self) -> str:
        """Return the table as HTML."""

        def row(tag: str, cells: Sequence[str]) -> str:
            parts = []
            for index, cell in enumerate(cells):
                kind = ' class="text"' if index in self.text_columns else ""
                parts.append(f"<{tag}{kind}>{escape(cell)}</{tag}>")
            return f"<tr>{''.join(parts)}</tr>"

        body = "\n".join(row("td", cells) for cells in self.rows)
        return (
            f'<div class="table"><table><caption>{escape(self.caption)}</caption>\n'
            f"<thead>{row('th', self.header)}</thead>\n<tbody>{body}</tbody></table></div>"
        )

    def markdown(self) -> str:
        """Return the table as Markdown."""
        marks = [
            "---" if index == 0 or index in self.text_columns else "---:"
            for index in range(len(self.header))
        ]
        cells = [[escape_markdown(cell) for cell in row] for row in (self.header, *self.rows)]
        lines = ["| " + " | ".join(row) + " |" for row in (cells[0], marks, *cells[1:])]
        return "\n".join([f"**{escape_markdown(self.caption)}**", "", *lines])

    def csv(self) -> str:
        """Return the table as CSV."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([self.header, *self.rows])
        return text.getvalue()

    def latex(self) -> str:
        """Return the table as LaTeX, for the package booktabs."""
        kinds = (
            "l" if index == 0 or index in self.text_columns else "r"
            for index in range(len(self.header))
        )
        head, *body = (
            " & ".join(escape_latex(cell) for cell in row) + r" \\"
            for row in (self.header, *self.rows)
        )
        caption = rf"\caption{{{escape_latex(self.caption)}}}"
        begin = rf"\begin{{tabular}}{{{''.join(kinds)}}}"
        lines = [r"\begin{table}", r"\centering", caption, begin, r"\toprule", head, r"\midrule"]
        lines += [*body, r"\bottomrule", r"\end{tabular}", r"\end{table}"]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Figure:
    """A PNG picture; `name` is its file name beside the Markdown."""

    name: str
    png: bytes
    caption: str

    def html(self) -> str:
        """Return the figure as HTML, the picture embedded."""
        data = base64.b64encode(self.png).decode("ascii")
        return (
            f'<figure><img src="data:image/png;base64,{data}" alt="{escape(self.caption)}">'
            f"<figcaption>{escape(self.caption)}</figcaption></figure>"
        )

    def markdown(self) -> str:
        """Return the figure as a Markdown link to its file."""
        return (
            f"![{escape_markdown(self.caption)}]({self.name})\n\n*{escape_markdown(self.caption)}*"
        )


@dataclass(frozen=True)
class Listing:
    """Preformatted text that is folded away."""

    title: str
    text: str

    def html(self) -> str:
        """Return the listing as HTML."""
        return (
            f"<details><summary>{escape(self.title)}</summary>"
            f"<pre>{escape(self.text)}</pre></details>"
        )

    def markdown(self) -> str:
        """Return the listing as Markdown."""
        return f"**{escape_markdown(self.title)}**\n\n```\n{self.text.rstrip()}\n```"


Block = Heading | Paragraph | Table | Figure | Listing


def to_html(title: str, blocks: Sequence[Block]) -> str:
    """Return one HTML page that needs no other file."""
    body = "\n".join(block.html() for block in blocks)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n"
        f"<body><h1>{escape(title)}</h1>\n{body}\n</body></html>\n"
    )


def to_markdown(title: str, blocks: Sequence[Block]) -> str:
    """Return the same as Markdown, its figures being files beside it."""
    return "\n\n".join([f"# {title}", *(block.markdown() for block in blocks)]) + "\n"


def escape_markdown(text: str) -> str:
    """Escape what Markdown would read as markup."""
    for character in "\\|*_`<":
        text = text.replace(character, "\\" + character)
    return text


LATEX = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "±": r"$\pm$",
}


def escape_latex(text: str) -> str:
    """Escape what LaTeX would read as markup."""
    return "".join(LATEX.get(character, character) for character in text)
