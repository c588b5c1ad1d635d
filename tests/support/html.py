"""Reads pages: their tables and links, and whether they are well-formed and carry nothing that a policy forbids."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Self

_VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"})
_FOREIGN = frozenset({"svg", "path", "circle", "rect", "line", "g", "use", "polyline", "text", "title", "desc"})


@dataclass
class Element:
    """An element, with what is in it."""

    name: str
    attributes: dict[str, str]
    children: list["Element | str"] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All text in it, with single spaces; not what is hidden from screen readers' users or only for them."""
        return " ".join("".join(self._texts()).split())

    def _texts(self) -> Iterator[str]:
        for one in self.children:
            if isinstance(one, str):
                yield one
            elif "hidden" not in one.attributes.get("class", "").split():
                yield from one._texts()

    def all(self, name: str, **attributes: str) -> list["Element"]:
        """Return the elements of a name in it, with these values of attributes (`class_`: one of the classes)."""
        return [one for one in self._below() if one.name == name and one._has(attributes)]

    def one(self, name: str, **attributes: str) -> "Element":
        """Return the only such element."""
        (found,) = self.all(name, **attributes)
        return found

    def _has(self, attributes: dict[str, str]) -> bool:
        return all(
            value in self.attributes.get("class", "").split()
            if key == "class_"
            else self.attributes.get(key.replace("_", "-")) == value
            for key, value in attributes.items()
        )

    def _below(self) -> Iterator["Element"]:
        for one in self.children:
            if isinstance(one, Element):
                yield one
                yield from one._below()


class Page(HTMLParser):
    """A page, read strictly: each element that is opened is closed, in order."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("", {})
        self._open = [self.root]

    @classmethod
    def read(cls, text: str) -> Self:
        """Return the page. Raise AssertionError where it is not well-formed."""
        page = cls()
        page.feed(text)
        page.close()
        assert page._open == [page.root], f"not closed: {[one.name for one in page._open[1:]]}"
        ids = [one.attributes["id"] for one in page.elements if "id" in one.attributes]
        assert len(ids) == len(set(ids)), f"ids are there twice: {sorted(ids)}"
        return page

    @property
    def elements(self) -> list[Element]:
        """All elements, in order."""
        return list(self.root._below())

    @property
    def links(self) -> list[str]:
        """The addresses of all links, forms and resources."""
        names = ("href", "src", "action")
        return [one.attributes[name] for one in self.elements for name in names if name in one.attributes]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice: {names}"
        element = Element(tag, {name: value or "" for name, value in attrs})
        self._open[-1].children.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in _VOID | _FOREIGN, f"<{tag}/> does not close"
        self._open[-1].children.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open[-1].name == tag, f"</{tag}> closes <{self._open[-1].name}>"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        self._open[-1].children.append(data)


def check_policy(page: Page) -> None:
    """Assert that a page has nothing that its Content-Security-Policy forbids, or that comes from elsewhere."""
    for one in page.elements:
        assert "style" not in one.attributes, one
        assert not [name for name in one.attributes if name.startswith("on")], one
        assert one.name not in ("style", "iframe", "object", "embed", "base"), one
        if one.name == "script":
            assert one.attributes.get("src", "").startswith("/static/"), one
            assert one.text == ""
    own = [one for one in page.elements if one.name != "a"]
    for element in own:
        for name in ("href", "src", "action"):
            assert element.attributes.get(name, "/").startswith("/"), element
