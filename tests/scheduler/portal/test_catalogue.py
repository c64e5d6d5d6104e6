"""Everything that the portal says is said in Korean, too; nothing that it no longer says is kept."""

from __future__ import annotations

from pathlib import Path

from babel.messages.pofile import read_po
from jinja2.ext import babel_extract

import scheduler

PACKAGE = Path(scheduler.__file__).parent


def said() -> set[str]:
    """Every text of a template that is to be translated."""
    found: set[str] = set()
    for template in sorted((PACKAGE / "portal" / "templates").glob("*.html")):
        options = {"trimmed": "false", "newstyle_gettext": "true", "silent": "false"}
        with template.open("rb") as file:
            for _, _, message, _ in babel_extract(file, ("gettext",), [], options):
                found.add(message if isinstance(message, str) else message[0])
    return found


def test_the_korean_catalogue_holds_what_templates_say_and_nothing_else() -> None:
    with (PACKAGE / "locale/ko/LC_MESSAGES/dure.po").open("rb") as file:
        korean = {str(message.id): str(message.string) for message in read_po(file) if message.id}
    assert said() == set(korean)
    untranslated = [text for text, told in korean.items() if not any("가" <= letter <= "힣" for letter in told)]
    assert untranslated == []
    assert [text for text in korean if text.count("%(") != korean[text].count("%(")] == []
