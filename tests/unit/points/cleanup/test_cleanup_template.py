"""Templates: glob ⊇ automaton = regular expression, for hostile names too."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawsguard.points.cleanup.automaton import TemplateAutomaton
from drawsguard.points.cleanup.template import TemplateError, VariableClasses, covering_glob, parse_template

CLASSES = VariableClasses({"default": "[^:]", "uid": "[0-9a-z]", "date": "[0-9-]"})

literals = st.text(st.sampled_from("ab:*?[]\\^-{}1é\n\x00 $.|"), max_size=4).map(
    lambda text: text.replace("{", "{{").replace("}", "}}")
)
variables = st.sampled_from(["{uid}", "{date}", "{other}"])
texts = st.lists(literals | variables, min_size=1, max_size=5).map("".join).filter(bool)
templates = texts.map(lambda text: parse_template(text, CLASSES))


def names_like(template_list):
    """Names that match one of the templates, and mutations of them: the borderline that must be decided rightly."""

    def fill(choice):
        template, fillers, cut = choice
        name = b"".join(
            part if isinstance(part, bytes) else fillers[index % len(fillers)]
            for index, part in enumerate(template.parts)
        )
        return name[: len(name) - cut] if cut else name

    fillers = st.lists(st.sampled_from([b"", b"1", b"a", b":", b"1-2", b"*", b"a:b", b"\xff", b"\n"]), min_size=1)
    return st.binary(max_size=8) | st.tuples(st.sampled_from(template_list), fillers, st.integers(0, 2)).map(fill)


def as_regex(template):
    """The template's meaning, said independently of the automaton."""
    return re.compile(
        b"".join(
            re.escape(part) if isinstance(part, bytes) else part.character_class.encode() + b"+"
            for part in template.parts
        ),
        re.DOTALL,
    )


@given(st.data(), st.lists(templates, min_size=1, max_size=6))
def test_automaton_decides_as_the_regular_expressions_do(data, template_list):
    automaton = TemplateAutomaton((template, index) for index, template in enumerate(template_list))
    for name in data.draw(st.lists(names_like(template_list), max_size=10)):
        expected = {index for index, template in enumerate(template_list) if as_regex(template).fullmatch(name)}
        assert set(automaton.match(name)) == expected


@given(st.data(), templates, templates)
def test_templates_said_not_to_overlap_never_share_a_name(data, one, other):
    shared = TemplateAutomaton([(one, "one")]).overlaps(TemplateAutomaton([(other, "other")]))
    name = data.draw(names_like([one, other]))
    if as_regex(one).fullmatch(name) and as_regex(other).fullmatch(name):
        assert shared == {("one", "other")}


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ("evt:{uid}:1024", "evt:{uid}:1025", False),
        ("evt:{uid}:1024", "evt:{uid}:11024", False),
        ("evt:{uid}:1024:{date}", "evt:{uid}:1025:{date}", False),
        ("evt:{uid}:1024", "evt:42:{other}", True),
        ("evt:{other}", "evt:{uid}:1024", False),
        ("evt:{other}", "evt:1024", True),
        ("{uid}x{uid}", "a{date}x", False),
        ("a{uid}", "a{date}", True),
    ],
)
def test_overlap_is_exact(one, other, overlap):
    left, right = (TemplateAutomaton([(parse_template(text, CLASSES), text)]) for text in (one, other))
    assert bool(left.overlaps(right)) is overlap
    assert bool(right.overlaps(left)) is overlap


def test_ten_thousand_templates_are_one_walk_and_one_comparison():
    dead = TemplateAutomaton((parse_template(f"evt:{{uid}}:{n}", CLASSES), n) for n in range(10_000))
    living = TemplateAutomaton((parse_template(f"evt:{{uid}}:{n}", CLASSES), n) for n in range(9_999, 20_000))
    assert dead.match(b"evt:abc:7777") == (7777,)
    assert dead.match(b"evt:abc:10001") == ()
    assert dead.overlaps(living) == {(9_999, 9_999)}


def test_full_state_cache_starts_again_and_still_decides(monkeypatch):
    monkeypatch.setattr("drawsguard.points.cleanup.automaton.MAX_STATES", 12)
    automaton = TemplateAutomaton((parse_template(f"k{n}", CLASSES), n) for n in range(50))
    assert [automaton.match(f"k{n}".encode()) for n in range(50)] == [(n,) for n in range(50)]


@pytest.mark.parametrize(
    "text", ["", "evt:{uid", "evt:uid}", "evt:{}", "evt:{uid!r}", "evt:{uid:>3}", "evt:{a.b}", "\ud800"]
)
def test_unreadable_template_is_refused(text):
    with pytest.raises(TemplateError):
        parse_template(text, CLASSES)


@pytest.mark.parametrize("classes", [{"uid": "[0-9]"}, {"default": ".*"}, {"default": "[0-9]|x"}, {"default": "[]]"}])
def test_unreadable_variable_class_is_refused(classes):
    with pytest.raises(TemplateError):
        VariableClasses(classes)


def test_glob_special_characters_and_hash_tags_are_literal():
    template = parse_template("a*b?[c]\\{{tag}}:{uid}", CLASSES)
    assert template.glob == rb"a\*b\?\[c\]\\{tag}:*"
    assert template.extended_regex == r"^a\*b\?\[c\]\\\{tag\}:[0-9a-z]+$"


def test_covering_glob_keeps_the_common_ends():
    parsed = [parse_template(text, CLASSES) for text in ("evt:{uid}:1024", "evt:{uid}:2024")]
    assert covering_glob(parsed) == b"evt:*024"
    assert covering_glob(parsed[:1]) == b"evt:*:1024"
    assert covering_glob([parse_template(text, CLASSES) for text in ("aa", "aaa")]) == b"aa*"
