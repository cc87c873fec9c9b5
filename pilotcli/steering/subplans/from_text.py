"""Reads the items of FROM: relations, joins and conditions, each as a piece of the query's text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pilotcli.common.errors import SteeringError
from pilotcli.steering.subplans.query_text import CLAUSES, END, QueryText, Token, refusal

_QUERIES = frozenset({"select", "with", "values", "table"})
_JOINS = frozenset({"join", "inner", "left", "right", "full", "cross", "natural"})
_AFTER_RELATION = CLAUSES | _JOINS | {"as", "on", "using", "tablesample", "with", "from"}
# Words that cannot be the name of a column where they stand without quotes.
_NO_COLUMNS = frozenset(
    """all and any array as between case cast current_date distinct else end false from ilike in is
    isnull like not notnull null or similar some symmetric then true when""".split()  # noqa: SIM905
)


@dataclass(frozen=True, slots=True)
class Relation:
    """An item of FROM; `needs`: the relations that must be to the left of it (LATERAL)."""

    name: str
    text: str
    needs: int


@dataclass(eq=False, slots=True)
class Condition:
    """The condition of ON: its text, the relations that it sees, and those that it uses.

    `used` is None if the condition has names without a relation. What these mean depends on which
    relations the condition sees.
    """

    text: str
    seen: int
    used: int | None


@dataclass(frozen=True, slots=True)
class Joined:
    """A join of two trees; a tree is also the number of a relation."""

    kind: Literal["inner", "left"]
    left: Tree
    right: Tree
    condition: Condition | None
    mask: int


Tree = int | Joined


def mask_of(tree: Tree) -> int:
    """Returns the relations of a tree, as a bit mask."""
    return 1 << tree if isinstance(tree, int) else tree.mask


@dataclass(slots=True)
class FromReader:
    """Reads FROM once into `relations` and a tree of joins."""

    query: QueryText
    relations: list[Relation] = field(default_factory=list)
    _at: int = 0

    def read(self) -> Tree:
        """Returns the joins of all items. Raises `SteeringError` for what has no order."""
        self._at = self.query.start
        tree = self._joins()
        while self._token.text == ",":
            self._at += 1
            tree = _joined("inner", tree, self._joins())
        if self._at != self.query.end:
            raise self._unread()
        names = [relation.name for relation in self.relations]
        if len(set(names)) < len(names):
            raise refusal("two relations in its FROM have the same name")
        return tree

    def _peek(self, ahead: int) -> Token:
        at = self._at + ahead
        return self.query.tokens[at] if at < self.query.end else END

    @property
    def _token(self) -> Token:
        return self._peek(0)

    def _unread(self) -> SteeringError:
        text = self.query.sql[self._token.start :][:30] if self._token is not END else "its end"
        return refusal(f"pilot does not read its FROM at {text!r}")

    def _take(self, *words: str) -> bool:
        """Whether the next token is one of the words, which is then behind."""
        if not self._token.is_word(*words):
            return False
        self._at += 1
        return True

    def _skip_brackets(self) -> None:
        """Go behind the brackets that the next token opens."""
        depth = self._token.depth
        self._at += 1
        while self._token.depth > depth:
            self._at += 1
        self._at += 1

    def _joins(self) -> Tree:
        tree = self._item()
        while kind := self._join_kind():
            tree = self._join(tree, kind)
        return tree

    def _join_kind(self) -> str:
        """Returns the kind of the join that begins here, whose words are then behind; or ""."""
        kind = self._token.text if self._token.is_word(*_JOINS) else ""
        if kind == "natural":
            raise refusal("it has a NATURAL join", "Write the join with ON.")
        if kind == "full":
            raise refusal("it has a FULL JOIN")
        if kind and kind != "join":
            self._at += 1
            self._take("outer")
        if kind and not self._take("join"):
            raise self._unread()
        return kind

    def _join(self, left: Tree, kind: str) -> Tree:
        right = self._item()
        if kind == "cross":
            return _joined("inner", left, right)
        while not self._take("on"):
            if self._token.is_word("using"):
                raise refusal("it has a join with USING", "Write the join with ON.")
            inner = self._join_kind()
            if not inner:
                raise self._unread()
            right = self._join(right, inner)
        condition = self._condition(mask_of(left) | mask_of(right))
        if kind == "right":
            left, right = right, left
        return _joined("left" if kind in ("left", "right") else "inner", left, right, condition)

    def _condition(self, seen: int) -> Condition:
        start, depth = self._at, self._token.depth
        while self._token.depth >= depth and not self._ends_condition(depth):
            self._at += 1
        if start == self._at:
            raise self._unread()
        return Condition(self.query.text(start, self._at), seen, self._used(start, self._at, seen))

    def _ends_condition(self, depth: int) -> bool:
        token = self._token
        if token.depth != depth:
            return False
        if token.is_word(*_JOINS):
            return self._peek(1).text != "("  # LEFT and RIGHT are functions, too
        return token.text == "," or token.is_word("on", "using")

    def _item(self) -> Tree:
        """Returns a relation, or the joins in parentheses."""
        start = self._at
        is_lateral = self._take("lateral")
        if self._token.text != "(":
            return self._named(start)
        is_query = self._peek(1).is_word(*_QUERIES)
        self._skip_brackets()
        alias = self._alias()
        if alias is not None:
            return self._relation(alias, start, 0 if is_query and not is_lateral else -1)
        if is_query or is_lateral:
            raise refusal("a sub-query in its FROM has no alias", "Give the sub-query an alias.")
        self._at = start + 1
        tree = self._joins()
        if self._token.text != ")":
            raise self._unread()
        self._at += 1
        return tree

    def _named(self, start: int) -> Tree:
        """Returns a table, a view, a WITH query or a function."""
        if self._take("only") and self._token.text == "(":
            raise self._unread()
        name = self._token.name
        while self._peek(1).text == "." and name is not None:
            self._at += 2
            name = self._token.name
        if name is None:
            raise self._unread()
        self._at += 1
        needs = 0
        if self._token.text == "(":
            begin = self._at
            self._skip_brackets()
            known = (1 << len(self.relations)) - 1
            used = self._used(begin, self._at, known)
            needs = -1 if used is None else used
        elif self._token.text == "*":
            self._at += 1
        if self._take("with") and not self._take("ordinality"):
            raise self._unread()
        return self._relation(self._alias() or name, start, needs)

    def _alias(self) -> str | None:
        """Returns the alias that may follow, which is then behind with its list of columns."""
        has_as = self._take("as")
        name = None if self._token.is_word(*_AFTER_RELATION) else self._token.name
        if name is not None:
            self._at += 1
        if (has_as or name is not None) and self._token.text == "(":
            self._skip_brackets()
        return name

    def _relation(self, name: str, start: int, needs: int) -> int:
        """Adds a relation; `needs` is -1 if it may use all relations to its left."""
        number = len(self.relations)
        if needs < 0:
            needs = (1 << number) - 1
        self.relations.append(Relation(name, self.query.text(start, self._at), needs))
        return number

    def _used(self, start: int, end: int, seen: int) -> int | None:
        """Returns the relations that the tokens use, of those in `seen`; None if that is not sure:
        a name may be a column, a sub-query has names of its own."""
        numbers = {
            relation.name: number
            for number, relation in enumerate(self.relations)
            if seen >> number & 1
        }
        tokens, used = self.query.tokens, 0
        for at in range(start, end):
            token, after = tokens[at], tokens[at + 1]
            if token.name is None or token.is_word(*_NO_COLUMNS):
                continue
            if tokens[at - 1].text in (".", "::") or after.text == "(" or after.kind == "string":
                continue  # a column of a relation, a type, a function, a type in front of a value
            if after.text != "." or tokens[at + 3].text == "." or token.name not in numbers:
                return None
            used |= 1 << numbers[token.name]
        return used


def _joined(
    kind: Literal["inner", "left"], left: Tree, right: Tree, condition: Condition | None = None
) -> Joined:
    return Joined(kind, left, right, condition, mask_of(left) | mask_of(right))
