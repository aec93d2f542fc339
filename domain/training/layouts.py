"""Keyboard layouts, by the names that XKB gives them: to add one, add a line."""

from difflib import get_close_matches
from enum import StrEnum
from typing import Final, NamedTuple

from domain.errors import InvalidInput


class LayoutShape(StrEnum):
    """How the letters lie: exercises of one shape fit all layouts that have it."""

    QWERTY = "QWERTY"
    AZERTY = "AZERTY"
    QWERTZ = "QWERTZ"
    BEPO = "BEPO"
    DVORAK = "DVORAK"
    COLEMAK = "COLEMAK"
    WORKMAN = "WORKMAN"


class KeyboardLayout(NamedTuple):
    """`layout_id` is XKB's layout, with its variant in brackets."""

    layout_id: str
    name: str
    shape: LayoutShape


_QWERTY, _AZERTY, _QWERTZ = LayoutShape.QWERTY, LayoutShape.AZERTY, LayoutShape.QWERTZ
LAYOUTS: Final = (
    KeyboardLayout("us", "English (US)", _QWERTY),
    KeyboardLayout("us(intl)", "English (US, international)", _QWERTY),
    KeyboardLayout("us(mac)", "English (US, Macintosh)", _QWERTY),
    KeyboardLayout("us(dvorak)", "English (Dvorak)", LayoutShape.DVORAK),
    KeyboardLayout("us(dvorak-l)", "English (Dvorak, left-handed)", LayoutShape.DVORAK),
    KeyboardLayout("us(dvorak-r)", "English (Dvorak, right-handed)", LayoutShape.DVORAK),
    KeyboardLayout("us(colemak)", "English (Colemak)", LayoutShape.COLEMAK),
    KeyboardLayout("us(colemak_dh)", "English (Colemak-DH)", LayoutShape.COLEMAK),
    KeyboardLayout("us(workman)", "English (Workman)", LayoutShape.WORKMAN),
    KeyboardLayout("gb", "English (UK)", _QWERTY),
    KeyboardLayout("gb(mac)", "English (UK, Macintosh)", _QWERTY),
    KeyboardLayout("gb(dvorak)", "English (UK, Dvorak)", LayoutShape.DVORAK),
    KeyboardLayout("gb(colemak)", "English (UK, Colemak)", LayoutShape.COLEMAK),
    KeyboardLayout("ie", "Irish", _QWERTY),
    KeyboardLayout("ca", "French (Canada)", _QWERTY),
    KeyboardLayout("ca(multix)", "Canadian (CSA)", _QWERTY),
    KeyboardLayout("ca(eng)", "English (Canada)", _QWERTY),
    KeyboardLayout("fr", "French (AZERTY)", _AZERTY),
    KeyboardLayout("fr(mac)", "French (Macintosh)", _AZERTY),
    KeyboardLayout("fr(bepo)", "French (BÉPO)", LayoutShape.BEPO),
    KeyboardLayout("be", "Belgian", _AZERTY),
    KeyboardLayout("ch", "German (Switzerland)", _QWERTZ),
    KeyboardLayout("ch(fr)", "French (Switzerland)", _QWERTZ),
    KeyboardLayout("de", "German", _QWERTZ),
    KeyboardLayout("de(mac)", "German (Macintosh)", _QWERTZ),
    KeyboardLayout("at", "German (Austria)", _QWERTZ),
    KeyboardLayout("es", "Spanish", _QWERTY),
    KeyboardLayout("latam", "Spanish (Latin America)", _QWERTY),
    KeyboardLayout("pt", "Portuguese", _QWERTY),
    KeyboardLayout("br", "Portuguese (Brazil)", _QWERTY),
    KeyboardLayout("it", "Italian", _QWERTY),
    KeyboardLayout("nl", "Dutch", _QWERTY),
    KeyboardLayout("dk", "Danish", _QWERTY),
    KeyboardLayout("no", "Norwegian", _QWERTY),
    KeyboardLayout("se", "Swedish", _QWERTY),
    KeyboardLayout("fi", "Finnish", _QWERTY),
    KeyboardLayout("pl", "Polish", _QWERTY),
    KeyboardLayout("cz", "Czech", _QWERTZ),
    KeyboardLayout("hu", "Hungarian", _QWERTZ),
)
_BY_ID: Final = {layout.layout_id.casefold(): layout for layout in LAYOUTS}


def find_layout(text: str) -> KeyboardLayout | None:
    """By its id, in upper or lower case."""
    return _BY_ID.get(text.strip().casefold())


def get_layout(text: str, *, field: str = "keyboardLayout") -> KeyboardLayout:
    """Raises InvalidInput, which names those that are nearly called so."""
    found = find_layout(text)
    if found is None:
        near = get_close_matches(text.casefold(), list(_BY_ID), n=3, cutoff=0.5)
        hint = f" Is it {' or '.join(near)}?" if near else ""
        raise InvalidInput(
            field,
            f"There is no keyboard layout {text[:50]!r}.{hint} keyboardLayouts lists them all.",
        )
    return found
